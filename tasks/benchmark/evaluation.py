"""The COCO metrics by hotcoco and by pycocotools on the same detections."""

import statistics
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tasks.benchmark.synthetic import CLASSES, HEIGHT, WIDTH, coco_content

_IMAGES = 5_000
_DETECTIONS_PER_IMAGE = 40
_TOLERANCE = 1e-9
_NAMES = ("hotcoco", "pycocotools")


def time_evaluation(console: Console, *, images: int | None = None, rounds: int = 3) -> int:
    """0, or 1 where the two disagree.

    Args:
        images: how many; objects and detections in proportion.
        rounds: how often each is timed, in turn.
    """
    from tasks.detection import coco_metrics

    images = images or _IMAGES
    truth = coco_content(images, polygons=False)
    found = _detections(truth)
    crowds = sum(item["iscrowd"] for item in truth["annotations"])
    console.print(
        f"{images:,} images, {len(truth['annotations']):,} objects of which {crowds:,} are crowds, "
        f"{len(found):,} detections"
    )
    classes = [item["name"] for item in truth["categories"]]
    seconds: dict[str, list[float]] = {name: [] for name in _NAMES}
    metrics: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name in _NAMES:
            started = time.perf_counter()
            metrics[name] = coco_metrics(truth, found, classes, name)  # type: ignore[arg-type]
            seconds[name].append(time.perf_counter() - started)
    table = Table("", "median", "least", "most", title="seconds an evaluation", title_justify="left")
    for name, values in seconds.items():
        table.add_row(name, *(f"{value:.2f}" for value in (statistics.median(values), min(values), max(values))))
    console.print(table)
    ours, theirs = (metrics[name] for name in _NAMES)
    difference = max(abs(ours[name] - theirs[name]) for name in theirs)
    console.print(f"AP {ours['AP']:.4f}; largest difference of {len(theirs)} figures: {difference:.1e}")
    ratios = [slow / fast for fast, slow in zip(*seconds.values(), strict=True)]
    console.print(f"pycocotools takes {statistics.median(ratios):.1f} times as long (median of the pairs)")
    return 1 if difference > _TOLERANCE or ours.keys() != theirs.keys() else 0


def _detections(truth: dict[str, Any]) -> list[dict[str, Any]]:
    """Objects found more or less at their places, and as much that is nothing."""
    generator = np.random.default_rng(1)
    count = len(truth["images"]) * _DETECTIONS_PER_IMAGE
    chosen = generator.integers(len(truth["annotations"]), size=count)
    boxes = np.array([item["bbox"] for item in truth["annotations"]])[chosen]
    boxes = boxes + generator.normal(0, 0.1, boxes.shape) * np.tile(boxes[:, 2:], 2)
    random = generator.uniform(0, [WIDTH, HEIGHT, WIDTH, HEIGHT], boxes.shape)
    wild = generator.random(count) < 1 / 2
    boxes[wild] = random[wild]
    boxes[:, 2:] = boxes[:, 2:].clip(1)
    scores = generator.random(count) * np.where(wild, 0.7, 1.0)
    right = generator.random(count) < 0.8
    others = generator.integers(1, CLASSES + 1, size=count)
    return [
        {
            "image_id": truth["annotations"][object_]["image_id"],
            "category_id": truth["annotations"][object_]["category_id"] if is_right else other,
            "bbox": box,
            "score": score,
        }
        for object_, box, score, is_right, other in zip(
            chosen.tolist(), boxes.tolist(), scores.tolist(), right.tolist(), others.tolist(), strict=True
        )
    ]
