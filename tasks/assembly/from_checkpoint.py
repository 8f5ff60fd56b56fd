"""What a checkpoint says of its model, and the model again from that."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backbones import Backbone, InputError
from tasks.assembly.create import create_task
from tasks.assembly.from_settings import build_backbone
from tasks.config import BackboneSettings, Settings, SettingsError
from tasks.detection import Evaluator
from tasks.heads import find_head
from tasks.task import Task
from tasks.training import DESCRIPTION, load_weights_into, read_description


def describe(settings: Settings, backbone: Backbone, classes: Sequence[str]) -> dict[str, Any]:
    """What model.json says: enough to build the task again and to feed it."""
    return {
        "task": settings.task,
        "classes": list(classes),
        "backbone": settings.backbone.model_dump(),
        "head": settings.head.model_dump(),
        "image_size": settings.data.image_size,
        "fit": settings.data.fit,
        "mean": list(backbone.mean),
        "std": list(backbone.std),
        "precision": settings.precision,
        "lineage": {"weights": settings.backbone.weights, "data": settings.data.path, "seed": settings.seed},
    }


def task_from_checkpoint(folder: Path, evaluator: Evaluator = "hotcoco") -> tuple[Task, Mapping[str, Any]]:
    """The trained task in a checkpoint's folder, and its model.json.

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
    task = create_task(description["task"], backbone, classes, head=head, norm=settings.norm, evaluator=evaluator)
    load_weights_into(task.model, folder)
    task.model.eval()
    return task, description
