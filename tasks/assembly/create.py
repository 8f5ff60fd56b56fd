"""A head on a backbone, as the trainer sees it."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from backbones import Backbone, InputError, check_levels
from tasks.classification import ClassificationTask
from tasks.config import HeadSettings, SettingsError
from tasks.detection import DetectionTask
from tasks.heads import find_head
from tasks.segmentation import SegmentationTask
from tasks.task import Task

TaskKind = type[DetectionTask] | type[SegmentationTask] | type[ClassificationTask]
_TASKS: dict[str, TaskKind] = {kind.name: kind for kind in (DetectionTask, SegmentationTask, ClassificationTask)}

_OWN = "tasks.heads."


def find_task(name: str) -> TaskKind:
    """The class of a task: detection | segmentation | classification.

    Raises:
        SettingsError: there is no such task.
    """
    find_head(None, name)
    return _TASKS[name]


def create_task(
    task: str,
    backbone: Backbone,
    classes: Sequence[str],
    *,
    head: HeadSettings | str | None = None,
    norm: str = "batch",
    **options: Any,
) -> Task:
    """Put a head on a backbone.

    Args:
        task: detection | segmentation | classification.
        backbone: as `create_backbone` makes it.
        classes: the names; in detection without a background.
        head: its settings, or its name; the task's default head where None.
        norm: of a segmenter's decoder, or of a v2 detector's head.
        options: of the task itself; detection has evaluator, hotcoco | pycocotools.

    Returns:
        The task; its `model` is an ordinary module.

    Raises:
        InputError: an unknown task, a head that is not for it, or a backbone that the head cannot be on.
        TypeError: an option that the task does not take.
    """
    if isinstance(head, HeadSettings) and head.task != task:
        raise InputError(f"head.name: {head.name!r} is not for {task}")
    try:
        head = head if isinstance(head, HeadSettings) else find_head(head, task)()
    except SettingsError as error:
        raise InputError(str(error)) from None
    if head.levels:
        check_levels(head.name, backbone, head.levels)
    names = [info.name for info in backbone.features]
    others = backbone.levels_in_use if len(backbone.levels_in_use) < len(names) else ()  # of another head on it
    wanted = head.levels_of(names)
    backbone.use_levels(name for name in names if name in wanted or name in others)
    return find_task(task)(backbone, classes, head, _build(head, backbone, len(classes), norm), **options)  # type: ignore[arg-type]


def _build(head: HeadSettings, backbone: Backbone, num_classes: int, norm: str) -> nn.Module:
    kind = type(head)
    if kind.__module__.startswith(_OWN):
        return head.build(backbone, num_classes, norm)
    place = f"head {head.name!r} ({kind.__module__}:{kind.__qualname__})"
    try:
        network = head.build(backbone, num_classes, norm)
    except InputError:
        raise
    except Exception as error:  # whatever a foreign package raises
        raise InputError(f"{place} cannot be built: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{place} builds a {type(network).__name__}, no module")
    return network
