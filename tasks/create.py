"""A task from its settings, or from a checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backbones import Backbone, InputError, create_backbone
from tasks.config import HEADS, OUTPUT_STRIDES, BackboneSettings, DataSettings, HeadSettings, Settings, SettingsError
from tasks.data.crops import SegmentationTransform
from tasks.data.samples import Indexed
from tasks.data.transforms import DetectionTransform
from tasks.detection.metric import Evaluator
from tasks.detection.task import DetectionTask
from tasks.segmentation.task import SegmentationTask
from tasks.starting import find_start, load_body, load_start
from tasks.training.checkpoint import load_weights_into, read_description

# Options that not every backbone takes: passed on where they are not at their defaults.
_SPECIAL = ("deformable_stages", "grad_checkpointing", "stride_in_1x1", "init")


AnyTask = DetectionTask | SegmentationTask


def create_task(
    task: str,
    backbone: Backbone,
    classes: Sequence[str],
    *,
    head: HeadSettings | None = None,
    norm: str = "batch",
    evaluator: Evaluator = "hotcoco",
) -> AnyTask:
    """Put a head on a backbone.

    Args:
        task: detection | segmentation.
        backbone: as `create_backbone` makes it, with its weights and frozen stages.
        classes: the names; in detection without a background.
        head: its settings; the task's defaults where None.
        norm: of a segmenter's decoder, or of a v2 detector's head.
        evaluator: of detections, hotcoco | pycocotools.

    Returns:
        The task; its `model` is an ordinary module.

    Raises:
        InputError: an unknown task, or a head that is not for it.
    """
    if task not in HEADS:
        raise InputError(f"task {task!r} is not known (known: {', '.join(HEADS)})")
    head = head or HeadSettings(name=HEADS[task][0])
    if head.name not in HEADS[task]:
        raise InputError(f"head {head.name!r} is not for {task} (for it: {', '.join(HEADS[task])})")
    if task == "segmentation":
        return SegmentationTask(backbone, classes, head, norm)
    return DetectionTask(backbone, classes, head, norm, evaluator)


def create_transform(
    task: str, settings: DataSettings, *, train: bool, masks: bool = False, others: Indexed[Any] | None = None
) -> DetectionTransform | SegmentationTransform:
    """What makes a task's samples into tensors: augmented to train on, or as they are.

    Args:
        masks: of detection's objects too.
        others: what a mosaic takes its other pictures from.
    """
    augment = settings.augment if train else "none"
    if task == "segmentation":
        return SegmentationTransform(settings.image_size, train, settings.fit, augment, settings.balanced_crops)
    return DetectionTransform(settings.image_size, augment, masks=masks, others=others)


def backbone_from(settings: BackboneSettings, head: str) -> Backbone:
    """The backbone that the settings describe, for a head of this name, with its weights, frozen stages and held
    norms."""
    defaults = BackboneSettings()
    special: dict[str, Any] = {option: getattr(settings, option) for option in _SPECIAL}
    try:
        backbone = create_backbone(
            settings.name,
            weights=settings.weights,
            norm=settings.norm,
            frozen_stages=settings.freeze,
            drop_path=settings.drop_path,
            output_stride=settings.output_stride or OUTPUT_STRIDES[head][0],
            **{name: value for name, value in special.items() if value != getattr(defaults, name)},
        )
    except TypeError as error:
        raise InputError(f"backbone {settings.name!r} does not take an option it was given: {error}") from error
    _hold_norms(backbone, settings, head)
    return backbone


def _hold_norms(backbone: Backbone, settings: BackboneSettings, head: str) -> None:
    held = settings.hold_norms
    backbone.hold_norms(settings.weights is not None and head in HEADS["detection"] if held is None else held)


def start_task(
    settings: Settings, classes: Sequence[str], head: HeadSettings | None = None, resumed_from: Path | None = None
) -> tuple[AnyTask, str]:
    """The task that a run trains, and a line about what it starts from.

    Args:
        head: instead of the settings' own.
        resumed_from: the checkpoint to go on with; what the run began with may be gone by then.

    Raises:
        InputError: the weights are not there or do not fit.
    """
    head, given = head or settings.head, settings.backbone
    weights = given.weights if resumed_from is None else str(resumed_from)
    start = find_start(given.model_copy(update={"weights": weights}), head)
    plain = given if start is None else given.model_copy(update={"weights": None, "freeze": "0"})
    backbone = backbone_from(plain, head.name)
    if start is None:
        told = "no pretrained weights, training from scratch"
        if backbone.load_report is not None:
            told = f"the backbone in {given.weights}: {backbone.load_report}"
    else:
        backbone.mean, backbone.std = start.mean or backbone.mean, start.std or backbone.std
        told = "" if start.whole else load_body(backbone, start)
    task = create_task(settings.task, backbone, classes, head=head, norm=given.norm, evaluator=settings.evaluator)
    if start is not None:
        told = told or load_start(task.model, start, classes)
        backbone.freeze(given.freeze)
        _hold_norms(backbone, given, head.name)
    return task, told


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


def task_from_checkpoint(folder: Path, evaluator: Evaluator = "hotcoco") -> tuple[AnyTask, Mapping[str, Any]]:
    """The trained task in a checkpoint's folder, and its model.json.

    Raises:
        InputError: the checkpoint is incomplete or unreadable.
    """
    description = read_description(folder)
    try:
        backbone_settings = BackboneSettings(**description["backbone"])
        head = HeadSettings(**description["head"])
        task_name, classes = description["task"], description["classes"]
        built = backbone_settings.model_copy(update={"weights": None, "freeze": "0"})
    except (KeyError, TypeError, SettingsError) as error:
        raise InputError(f"{folder / 'model.json'}: not a description of a model: {error}") from None
    backbone = backbone_from(built, head.name)
    # What the pictures are normalised with came with the weights that the run began with.
    backbone.mean, backbone.std = tuple(description["mean"]), tuple(description["std"])
    task = create_task(task_name, backbone, classes, head=head, norm=built.norm, evaluator=evaluator)
    load_weights_into(task.model, folder)
    task.model.eval()
    return task, description
