"""Detections as COCO's result files hold them, and what kinds of mistakes they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.data import SampleTable
from tasks.detection.metric import CocoMetric, run_evaluator

_MOST_CONFUSIONS = 10


def coco_results(metric: CocoMetric, samples: SampleTable, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """What was found in a split, in the numbers of its own annotation file.

    Returns:
        image_id, file_name, category_id, bbox (x, y, width, height), score and, of masks, segmentation; numbered from
        1 where the file has no numbers of its own.
    """
    ids = None if samples.ids is None else [msgspec.json.decode(samples.ids.raw(n)) for n in range(len(samples))]
    results = []
    for item in metric.results():
        position, label = item["image_id"] - 1, item["category_id"] - 1
        own = {
            "image_id": ids[position] if ids else item["image_id"],
            "category_id": category_ids[label] if category_ids else item["category_id"],
            "file_name": samples.names[position],
        }
        results.append(item | own)
    return results


@dataclass(frozen=True)
class Mistakes:
    """What a detector gets wrong, at IoU 0.5.

    Attributes:
        tide: kind of mistake -> (how much AP50 would gain without it, how many there are); Bolya et al. 2020, "TIDE".
        confusions: (true class, class that was found instead, how often), the most frequent first.
        matrix: (classes + 1, classes + 1), by true and found class; the last of each is the background.
    """

    tide: dict[str, tuple[float, int]]
    confusions: list[tuple[str, str, int]]
    matrix: NDArray[np.int64]


def mistakes(metric: CocoMetric) -> Mistakes:
    """Computed by hotcoco from the boxes."""
    evaluation = run_evaluator(metric.truth(), metric.results(), "hotcoco", "bbox")
    tide = evaluation.tide_errors()
    matrix = np.asarray(evaluation.confusion_matrix(iou_thr=0.5)["matrix"]).astype(np.int64)
    apart = matrix[:-1, :-1] * ~np.eye(len(matrix) - 1, dtype=np.bool_)
    order = np.argsort(-apart, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = [(int(row), int(column)) for row, column in zip(*np.unravel_index(order, apart.shape), strict=True)]
    return Mistakes(
        tide={kind: (float(tide["delta_ap"][kind]), int(count)) for kind, count in tide["counts"].items()},
        confusions=[
            (metric.classes[row], metric.classes[column], int(apart[row, column]))
            for row, column in pairs
            if apart[row, column]
        ],
        matrix=matrix,
    )
