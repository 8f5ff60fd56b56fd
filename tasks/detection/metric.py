"""The COCO detection metrics, computed by hotcoco or by pycocotools."""

import contextlib
import gc
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.data import Batch, Indexed, Sample

Evaluator = Literal["hotcoco", "pycocotools"]
Kind = Literal["bbox", "segm"]

# The order of pycocotools' stats.
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
MASKS = "segm_"  # before the names of the same metrics for masks
THRESHOLD = "score_threshold"
_ALL_AREAS, _MOST_DETECTIONS, _AT_50 = 0, -1, 0
_COCO_DETECTIONS = (1, 10, 100)  # an image


class _Found(Protocol):
    @property
    def boxes(self) -> Any: ...
    @property
    def labels(self) -> Any: ...
    @property
    def scores(self) -> Any: ...
    @property
    def masks(self) -> Any: ...


@dataclass(frozen=True)
class _Row:
    """An image's detections, masks packed."""

    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    masks: list[dict[str, Any]]


class CocoMetric:
    """AP and AR as COCO defines them, over one split.

    Images are known by their position in `samples`, so one that comes twice (as the last batch of
    several processes may) counts once.

    Args:
        samples: what is to be evaluated.
        classes: the names.
        evaluator: who computes.
        masks: evaluate masks as well as boxes.
        detections_per_image: how many the head gives at most. COCO's figures take the best 100; beyond these there are
            AP@all and AR@all too.
    """

    def __init__(
        self,
        samples: Indexed[Sample],
        classes: Sequence[str],
        evaluator: Evaluator,
        *,
        masks: bool = False,
        detections_per_image: int = _COCO_DETECTIONS[-1],
    ) -> None:
        self.detections_per_image = detections_per_image
        self.samples = samples
        self.classes = tuple(classes)
        self.evaluator: Evaluator = evaluator
        self.masks = masks
        self._found: dict[int, _Row] = {}

    def update(self, batch: Batch, predictions: Sequence[_Found]) -> None:
        for index, found in zip(batch.indices, predictions, strict=True):
            self._found[index] = _Row(
                np.asarray(found.boxes, np.float64).reshape(-1, 4),
                np.asarray(found.labels, np.int64),
                np.asarray(found.scores, np.float64),
                found.masks.as_coco() if self.masks else [],
            )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What this process has seen, for the others: images, how much is found on each, and all of that in a row."""
        rows = list(self._found.values())
        runs = [mask["counts"].encode() for row in rows for mask in row.masks]
        return {
            "images": np.array(list(self._found), np.int64),
            "counts": np.array([len(row.scores) for row in rows], np.int64),
            "boxes": np.concatenate([np.zeros((0, 4)), *(row.boxes for row in rows)]),
            "labels": np.concatenate([np.zeros(0, np.int64), *(row.labels for row in rows)]),
            "scores": np.concatenate([np.zeros(0), *(row.scores for row in rows)]),
            "runs": np.frombuffer(b"".join(runs), np.uint8),
            "lengths": np.array([len(run) for run in runs], np.int64),
            "sizes": np.array([mask["size"] for row in rows for mask in row.masks], np.int64).reshape(-1, 2),
        }

    def merge(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add what another process has seen."""
        ends = np.cumsum(arrays["counts"])
        starts = ends - arrays["counts"]
        masks = _masks_of(arrays)
        for image, start, end in zip(arrays["images"].tolist(), starts.tolist(), ends.tolist(), strict=True):
            boxes, labels, scores = (arrays[name][start:end] for name in ("boxes", "labels", "scores"))
            self._found[image] = _Row(boxes, labels, scores, masks[start:end])

    def compute(self) -> dict[str, float]:
        """The metrics of `coco_metrics`, for masks with "segm_" before each, and `images`, how many images were
        evaluated.

        Raises:
            RuntimeError: an image of the split was not predicted.
        """
        missing = len(self.samples) - len(self._found)
        if missing:
            raise RuntimeError(f"{missing} of {len(self.samples)} images were not predicted")
        truth, found = self.truth(), self.results()
        most = self.detections_per_image
        metrics = coco_metrics(truth, found, self.classes, self.evaluator, most=most)
        if self.masks:
            of_masks = coco_metrics(truth, found, self.classes, self.evaluator, "segm", most)
            metrics |= {f"{MASKS}{name}": value for name, value in of_masks.items() if not name.startswith(THRESHOLD)}
        return metrics | {"images": len(self.samples)}

    def truth(self) -> dict[str, Any]:
        """The split as the content of a COCO file; images and classes are numbered from 1."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for image, sample in enumerate(self.samples, start=1):
            images.append({"id": image, "width": sample.size[0], "height": sample.size[1]})
            for number, (box, label) in enumerate(zip(sample.boxes, sample.labels, strict=True)):
                annotation = {
                    "id": len(annotations) + 1,  # pycocotools takes an id of 0 for "unmatched"
                    "image_id": image,
                    "category_id": int(label) + 1,
                    "bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()],
                    "area": float(sample.areas[number]),
                    "iscrowd": int(sample.crowd[number]),
                }
                if self.masks:
                    annotation["segmentation"] = msgspec.json.decode(sample.segmentations[number])
                annotations.append(annotation)
        categories = [{"id": label, "name": name} for label, name in enumerate(self.classes, start=1)]
        return {"images": images, "annotations": annotations, "categories": categories}

    def results(self) -> list[dict[str, Any]]:
        """The detections as COCO's result files hold them, in the numbers of `truth`."""
        results: list[dict[str, Any]] = []
        for index, found in sorted(self._found.items()):
            corners = np.column_stack([found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]])
            for number, (box, label) in enumerate(zip(corners.tolist(), found.labels.tolist(), strict=True)):
                result = {
                    "image_id": index + 1,
                    "category_id": label + 1,
                    "bbox": box,
                    "score": float(found.scores[number]),
                }
                if self.masks:
                    result["segmentation"] = found.masks[number]
                results.append(result)
        return results


def _masks_of(arrays: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """As COCO's result files hold them; none where there are none."""
    text, ends = arrays["runs"].tobytes().decode(), np.cumsum(arrays["lengths"]).tolist()
    starts = [0, *ends][: len(ends)]
    sizes = arrays["sizes"].tolist()
    return [{"size": size, "counts": text[start:end]} for size, start, end in zip(sizes, starts, ends, strict=True)]


def coco_metrics(
    truth: dict[str, Any],
    found: list[dict[str, Any]],
    classes: Sequence[str],
    evaluator: Evaluator = "hotcoco",
    kind: Kind = "bbox",
    most: int = _COCO_DETECTIONS[-1],
) -> dict[str, float]:
    """The metrics of detections against a COCO ground truth.

    Args:
        truth: the content of a COCO file; its categories are in the order of `classes`.
        found: the content of a COCO result file.
        kind: whether boxes or masks are compared.
        most: detections of an image, at most.

    Returns:
        AP AP50 AP75 APs APm APl AR1 AR10 AR100 ARs ARm ARl and AP/<class>, each 0..1, or -1 where there
        is nothing to find; AP@all and AR@all, of all detections of an image, where more than COCO's 100 are
        given; and score_threshold/<class>, the score that gives the best F1 at IoU 0.5, left out where
        nothing was found.
    """
    evaluation = run_evaluator(truth, found, evaluator, kind)
    precision, scores = (np.asarray(evaluation.eval[name]) for name in ("precision", "scores"))
    metrics = {name: float(value) for name, value in zip(NAMES, evaluation.stats, strict=True)}
    if most > _COCO_DETECTIONS[-1]:
        of_all = run_evaluator(truth, found, evaluator, kind, most).eval
        metrics["AP@all"] = _mean(np.asarray(of_all["precision"])[:, :, :, _ALL_AREAS, _MOST_DETECTIONS])
        metrics["AR@all"] = _mean(np.asarray(of_all["recall"])[:, :, _ALL_AREAS, _MOST_DETECTIONS])
    for position, name in enumerate(classes):
        values = precision[:, :, position, _ALL_AREAS, _MOST_DETECTIONS]
        metrics[f"AP/{name}"] = _mean(values)
        at_50 = precision[_AT_50, :, position, _ALL_AREAS, _MOST_DETECTIONS]
        if (at_50 > 0).any():
            best = int(_f1(at_50).argmax())
            metrics[f"{THRESHOLD}/{name}"] = float(scores[_AT_50, best, position, _ALL_AREAS, _MOST_DETECTIONS])
    return metrics


def _mean(values: NDArray[np.float64]) -> float:
    """Of those that are known; -1 where none is."""
    return float(values[values > -1].mean()) if (values > -1).any() else -1.0


def _f1(precision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the precisions at COCO's recalls 0, 0.01, ..., 1."""
    recall = np.linspace(0, 1, len(precision))
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)


def run_evaluator(
    truth: dict[str, Any],
    found: list[dict[str, Any]],
    evaluator: Evaluator,
    kind: Kind,
    most: int = _COCO_DETECTIONS[-1],
) -> Any:
    """The COCOeval of either library, evaluated, accumulated and, of COCO's 100 detections an image, summarised."""
    if not found:
        # Neither evaluator takes an empty list; what has no area hits nothing.
        image = truth["images"][0]
        nothing = {"size": [image.get("height", 1), image.get("width", 1)], "counts": ""}
        result = {"image_id": image["id"], "category_id": truth["categories"][0]["id"], "score": 0.0}
        found = [result | ({"bbox": [0.0, 0.0, 0.0, 0.0]} if kind == "bbox" else {"segmentation": nothing})]
    # Both print tables of their own, and make a million objects of which none is garbage yet.
    with contextlib.redirect_stdout(io.StringIO()), _garbage_collection_off():
        if evaluator == "hotcoco":
            import hotcoco

            fast = hotcoco.COCO(truth)
            evaluation: Any = hotcoco.COCOeval(fast, fast.load_res(_of_kind(found, kind)), kind)
        else:
            from pycocotools.coco import COCO
            from pycocotools.cocoeval import COCOeval

            reference = COCO()
            reference.dataset = truth
            reference.createIndex()
            evaluation = COCOeval(reference, reference.loadRes(_of_kind(found, kind)), kind)
        if most > _COCO_DETECTIONS[-1]:
            evaluation.params.maxDets = [*_COCO_DETECTIONS[:-1], most]
        evaluation.evaluate()
        evaluation.accumulate()
        if most == _COCO_DETECTIONS[-1]:  # COCO's figures are of these alone
            evaluation.summarize()
    return evaluation


@contextlib.contextmanager
def _garbage_collection_off() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _of_kind(found: list[dict[str, Any]], kind: Kind) -> list[dict[str, Any]]:
    """Copies, since pycocotools adds ids and areas; with a box beside a mask it would take the box's area."""
    left_out = "bbox" if kind == "segm" else "segmentation"
    return [{key: value for key, value in item.items() if key != left_out} for item in found]
