"""The COCO detection metrics, computed by hotcoco or by pycocotools."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.data.samples import Indexed, Sample
from tasks.task import Batch

Evaluator = Literal["hotcoco", "pycocotools"]

# The order of pycocotools' stats.
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


class _Found(Protocol):
    @property
    def boxes(self) -> Any: ...
    @property
    def labels(self) -> Any: ...
    @property
    def scores(self) -> Any: ...


class CocoMetric:
    """AP and AR as COCO defines them, over one split.

    Pictures are known by their position in `samples`, so one that comes twice (as the last batch of
    several processes may) counts once.
    """

    def __init__(self, samples: Indexed[Sample], classes: Sequence[str], evaluator: Evaluator) -> None:
        self.samples = samples
        self.classes = tuple(classes)
        self.evaluator: Evaluator = evaluator
        self._found: dict[int, _Found] = {}

    def update(self, batch: Batch, predictions: Sequence[_Found]) -> None:
        self._found.update(zip(batch.indices, predictions, strict=True))

    def compute(self) -> dict[str, float]:
        """The metrics of `coco_metrics`, and `images`, how many pictures were judged.

        Raises:
            RuntimeError: a picture of the split was not predicted.
        """
        missing = len(self.samples) - len(self._found)
        if missing:
            raise RuntimeError(f"{missing} of {len(self.samples)} pictures were not predicted")
        metrics = coco_metrics(self._truth(), self._detections(), self.classes, self.evaluator)
        return metrics | {"images": len(self.samples)}

    def _truth(self) -> dict[str, Any]:
        annotations: list[dict[str, Any]] = []
        for image, sample in enumerate(self.samples, start=1):
            for box, label, area, crowd in zip(sample.boxes, sample.labels, sample.areas, sample.crowd, strict=True):
                annotations.append(
                    {
                        "id": len(annotations) + 1,  # pycocotools takes an id of 0 for "unmatched"
                        "image_id": image,
                        "category_id": int(label) + 1,
                        "bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()],
                        "area": float(area),
                        "iscrowd": int(crowd),
                    }
                )
        return {
            "images": [{"id": image} for image in range(1, len(self.samples) + 1)],
            "annotations": annotations,
            "categories": [{"id": label, "name": name} for label, name in enumerate(self.classes, start=1)],
        }

    def _detections(self) -> NDArray[np.float64]:
        rows = []
        for index, found in sorted(self._found.items()):
            boxes = np.asarray(found.boxes, np.float64).reshape(-1, 4)
            image = np.full(len(boxes), index + 1)
            sizes = boxes[:, 2:] - boxes[:, :2]
            scores, categories = np.asarray(found.scores, np.float64), np.asarray(found.labels) + 1
            rows.append(np.column_stack([image, boxes[:, :2], sizes, scores, categories]))
        return np.concatenate(rows) if rows else np.zeros((0, 7))


def coco_metrics(
    truth: dict[str, Any],
    detections: NDArray[np.float64],
    classes: Sequence[str],
    evaluator: Evaluator = "hotcoco",
) -> dict[str, float]:
    """The metrics of detections against a COCO ground truth.

    Args:
        truth: the content of a COCO file; its categories are in the order of `classes`.
        detections: (n, 7), columns image id, x, y, width, height, score, category id.

    Returns:
        AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl and AP/<class>, each 0..1, or -1 where there
        is nothing to find.
    """
    if not len(detections):
        # Neither evaluator takes an empty list; a box without area hits nothing.
        detections = np.array([[truth["images"][0]["id"], 0, 0, 0, 0, 0, truth["categories"][0]["id"]]], np.float64)
    stats, precision = _evaluate(truth, detections, evaluator)
    metrics = {name: float(value) for name, value in zip(NAMES, stats, strict=True)}
    for position, name in enumerate(classes):
        values = precision[:, :, position, 0, -1]
        metrics[f"AP/{name}"] = float(values[values > -1].mean()) if (values > -1).any() else -1.0
    return metrics


def _evaluate(
    truth: dict[str, Any], detections: NDArray[np.float64], evaluator: Evaluator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The twelve stats, and the precision array (IoU, recall, class, area, detections a picture)."""
    with contextlib.redirect_stdout(io.StringIO()):  # both print tables of their own
        if evaluator == "hotcoco":
            import hotcoco

            fast = hotcoco.COCO(truth)
            judge: Any = hotcoco.COCOeval(fast, fast.load_res(detections), "bbox")
        else:
            from pycocotools.coco import COCO
            from pycocotools.cocoeval import COCOeval

            reference = COCO()
            reference.dataset = truth
            reference.createIndex()
            judge = COCOeval(reference, reference.loadRes(detections), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return np.asarray(judge.stats), np.asarray(judge.eval["precision"])
