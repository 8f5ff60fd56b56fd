"""What a checkpoint says of its model, and the model again from that."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backbones import Backbone, InputError
from tasks.assembly.create import create_task
from tasks.assembly.from_settings import build_backbone
from tasks.assembly.lineage import lineage_of
from tasks.config import BackboneSettings, DataSettings, Settings, SettingsError, data_settings
from tasks.heads import find_head
from tasks.task import Task
from tasks.training import DESCRIPTION, load_weights_into, read_description

# What the model was trained to see, and sees again in prediction.
_HOW_READ = ("image_size", "fit", "crop_ratio", "intensity")


def describe(settings: Settings, backbone: Backbone, classes: Sequence[str]) -> dict[str, Any]:
    """What model.json says: enough to build the task again and to feed it."""
    sizes = {name: getattr(settings.data, name) for name in _HOW_READ if hasattr(settings.data, name)}
    return {
        "task": settings.task,
        "classes": list(classes),
        "backbone": settings.backbone.model_dump(),
        "levels": list(backbone.levels_in_use),
        "head": settings.head.model_dump(),
        **sizes,
        "mean": list(backbone.mean),
        "std": list(backbone.std),
        "precision": settings.precision,
        "lineage": lineage_of(settings),
    }


def data_of(description: Mapping[str, Any], values: Mapping[str, Any] | None = None) -> DataSettings:
    """The data settings of a trained model: its sizes, and for the rest these values or the defaults."""
    kind = data_settings(description["task"])
    sizes = {name: description[name] for name in _HOW_READ if name in kind.model_fields and name in description}
    return kind(**(dict(values or {}) | sizes))


def task_from_checkpoint(folder: Path, **options: Any) -> tuple[Task, Mapping[str, Any]]:
    """The trained task in a checkpoint's folder, and its model.json.

    Args:
        options: of the task itself; see `create_task`.

    Raises:
        InputError: the checkpoint is incomplete, unreadable, or of a newer format.
    """
    description = read_description(folder)
    try:
        settings = BackboneSettings(**description["backbone"])
        head = find_head(description["head"]["name"], description["task"])(**description["head"])
        classes = description["classes"]
        backbone = build_backbone(settings, head)
        # What the images are normalised with came with the weights that the run began with.
        backbone.mean, backbone.std = tuple(description["mean"]), tuple(description["std"])
    except (KeyError, TypeError, SettingsError) as error:
        raise InputError(f"{folder / DESCRIPTION}: not a description of a model: {error}") from None
    task = create_task(description["task"], backbone, classes, head=head, norm=settings.norm, **options)
    load_weights_into(task.model, folder)
    task.model.eval()
    return task, description
