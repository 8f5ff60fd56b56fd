"""A task from the settings of a run. One order, always: backbone, head, weights, then freeze and hold norms."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backbones import Backbone, InputError, create_backbone
from tasks.assembly.create import create_task
from tasks.assembly.initial_weights import find_initial_weights, load_initial_weights
from tasks.config import BackboneSettings, HeadSettings, Settings
from tasks.task import Task

# Options that not every backbone takes: passed on where they are not at their defaults.
_SPECIAL = ("deformable_stages", "grad_checkpointing", "stride_in_1x1", "init")


def task_from_settings(
    settings: Settings, classes: Sequence[str], head: HeadSettings | None = None, resumed_from: Path | None = None
) -> tuple[Task, str]:
    """The task that a run trains, and a line about the weights that it begins with.

    Args:
        head: instead of the settings' own.
        resumed_from: the checkpoint to go on with; what the run began with may be gone by then.

    Raises:
        InputError: the weights are not there or do not fit, or the backbone has not the stages to freeze.
    """
    head, given = head or settings.head, settings.backbone
    if resumed_from is not None:
        given = given.model_copy(update={"weights": str(resumed_from)})
    weights = find_initial_weights(given, head)
    backbone = build_backbone(given, head)
    options = {name: getattr(settings, name) for name in settings.of_task}
    task = create_task(settings.task, backbone, classes, head=head, norm=given.norm, **options)
    line = load_initial_weights(task, given, head, weights)
    backbone.freeze(given.freeze)
    backbone.compile_frozen = given.compile_frozen
    backbone.hold_norms(_holds_norms(settings.backbone, head))
    return task, line


def build_backbone(settings: BackboneSettings, head: HeadSettings) -> Backbone:
    """The backbone that the settings describe, for a head; without weights, and nothing of it frozen."""
    defaults = BackboneSettings()
    special: dict[str, Any] = {option: getattr(settings, option) for option in _SPECIAL}
    try:
        return create_backbone(
            settings.name,
            norm=settings.norm,
            in_channels=settings.in_channels,
            drop_path=settings.drop_path,
            output_stride=settings.output_stride or head.output_strides[0],
            **{name: value for name, value in special.items() if value != getattr(defaults, name)},
        )
    except TypeError as error:
        raise InputError(f"backbone {settings.name!r} does not take an option it was given: {error}") from error


def _holds_norms(settings: BackboneSettings, head: HeadSettings) -> bool:
    if settings.hold_norms is not None:
        return settings.hold_norms
    return settings.weights is not None and head.holds_norms
