"""A head on a backbone, as the trainer sees it."""

from collections.abc import Sequence

from backbones import Backbone, InputError
from tasks.config import HeadSettings, SettingsError
from tasks.detection import DetectionTask, Evaluator
from tasks.heads import find_head
from tasks.segmentation import SegmentationTask
from tasks.task import Task

_TASKS: dict[str, type[DetectionTask] | type[SegmentationTask]] = {
    kind.name: kind for kind in (DetectionTask, SegmentationTask)
}


def find_task(name: str) -> type[DetectionTask] | type[SegmentationTask]:
    """The class of a task: detection | segmentation.

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
    evaluator: Evaluator = "hotcoco",
) -> Task:
    """Put a head on a backbone.

    Args:
        task: detection | segmentation.
        backbone: as `create_backbone` makes it.
        classes: the names; in detection without a background.
        head: its settings, or its name; the task's default head where None.
        norm: of a segmenter's decoder, or of a v2 detector's head.
        evaluator: of detections, hotcoco | pycocotools.

    Returns:
        The task; its `model` is an ordinary module.

    Raises:
        InputError: an unknown task, a head that is not for it, or a backbone that the head cannot be on.
    """
    try:
        kind = find_head(head.name if isinstance(head, HeadSettings) else head, task)
    except SettingsError as error:
        raise InputError(str(error)) from None
    head = head if isinstance(head, HeadSettings) else kind()
    network = head.build(backbone, len(classes), norm)
    created: Task = find_task(task)(backbone, classes, head, network)  # type: ignore[arg-type]
    if isinstance(created, DetectionTask):
        created.evaluator = evaluator
    return created
