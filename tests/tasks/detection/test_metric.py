"""The COCO metrics against published numbers, hand-worked cases and each other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.data.formats.shapes import CLASSES, ShapesImage, shape_samples
from tasks.data.loading.batch import Batch
from tasks.data.masks.polygons import object_mask
from tasks.detection.detections import Detections
from tasks.detection.masks import PackedMasks
from tasks.detection.metric import CocoMetric, Evaluator, Kind, coco_metrics
from tests.writers import make_samples

EVALUATORS: list[Evaluator] = ["hotcoco", "pycocotools"]
both = pytest.mark.parametrize("evaluator", EVALUATORS)


def _truth(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    content["categories"].sort(key=lambda item: item["id"])
    return content


@both
@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_published_numbers(shared: Callable[[str], Path], evaluator: Evaluator, kind: Kind) -> None:
    folder = shared("coco_eval")
    truth = _truth(folder / "instances_val2014_100.json")
    found = json.loads((folder / f"instances_val2014_fake{kind}100_results.json").read_text())
    names = [item["name"] for item in truth["categories"]]
    metrics = coco_metrics(truth, found, names, evaluator, kind)
    expected = json.loads((folder / "expected.json").read_text())
    assert len(expected["keys"]) == 12
    for key, value in zip(expected["keys"], expected[kind], strict=True):
        assert metrics[key] == pytest.approx(value, abs=1e-9), key
    per_class = [metrics[f"AP/{name}"] for name in names]
    assert np.mean([value for value in per_class if value >= 0]) == pytest.approx(metrics["AP"], abs=1e-9)


def _found(*rows: tuple[float, float, float, float, float]) -> Detections:
    table = torch.tensor(rows).reshape(-1, 5)
    return Detections(table[:, :4], torch.zeros(len(table), dtype=torch.long), table[:, 4])


def _batch(*indices: int) -> Batch:
    return Batch([], [], list(indices), [], [])


@both
def test_by_hand(evaluator: Evaluator) -> None:
    """Two objects; the best detection hits one exactly, the next misses, the last overlaps the other by 0.6.

    At IoU 0.50, 0.55, 0.60: precision 1 up to recall 0.5, then 2/3: (51 + 50 * 2/3) / 101. Above: 51 / 101.
    """
    metric = CocoMetric(make_samples([(0, 0, 10, 10), (50, 50, 60, 60)]), ["x"], evaluator)
    metric.update(_batch(0), [_found((0, 0, 10, 10, 0.9), (80, 80, 90, 90, 0.8), (50, 50, 60, 56, 0.7))])
    metrics = metric.compute()
    low, high = (51 + 50 * 2 / 3) / 101, 51 / 101
    assert metrics["AP50"] == pytest.approx(low, abs=1e-9)
    assert metrics["AP75"] == pytest.approx(high, abs=1e-9)
    assert metrics["AP"] == pytest.approx((3 * low + 7 * high) / 10, abs=1e-9)
    assert metrics["AP/x"] == pytest.approx(metrics["AP"], abs=1e-9)
    assert metrics["AR1"] == pytest.approx(0.5, abs=1e-9)
    assert metrics["APm"] == metrics["APl"] == -1
    assert metrics["images"] == 1


@both
def test_more_than_100_objects_an_image(evaluator: Evaluator) -> None:
    """All of 150 found. COCO takes the best 100: precision 1 up to recall 2/3, 67 of its 101 places."""
    boxes: list[tuple[float, float, float, float]] = [
        (12 * column, 12 * row, 12 * column + 10, 12 * row + 10) for row in range(10) for column in range(15)
    ]
    samples = make_samples(boxes, size=(200, 200))
    found = _found(*((*box, 0.9 - number / 1000) for number, box in enumerate(boxes)))

    def metrics(most: int) -> dict[str, float]:
        metric = CocoMetric(samples, ["x"], evaluator, detections_per_image=most)
        metric.update(_batch(0), [found])
        return metric.compute()

    usual, more = metrics(100), metrics(150)
    assert usual["AP"] == pytest.approx(67 / 101, abs=1e-9)
    assert usual["AR100"] == pytest.approx(2 / 3, abs=1e-9)
    assert "AP@all" not in usual
    assert {name: value for name, value in more.items() if "@" not in name} == pytest.approx(usual)
    assert more["AP@all"] == more["AR@all"] == pytest.approx(1, abs=1e-9)


@both
def test_an_image_that_comes_twice_counts_once(evaluator: Evaluator) -> None:
    samples = make_samples([(0, 0, 10, 10)], [(20, 20, 40, 40)])
    found = [_found((0, 0, 10, 10, 0.9)), _found((20, 20, 40, 38, 0.8), (0, 0, 5, 5, 0.95))]
    once, twice = CocoMetric(samples, ["x"], evaluator), CocoMetric(samples, ["x"], evaluator)
    once.update(_batch(0, 1), found)
    twice.update(_batch(0, 1), found)
    twice.update(_batch(1, 0), found[::-1])
    assert once.compute() == twice.compute()


@both
def test_detections_in_a_crowd_are_neither_right_nor_wrong(evaluator: Evaluator) -> None:
    samples = make_samples([(0, 0, 10, 10)], [(50, 0, 100, 100)], crowd=[1])
    metric = CocoMetric(samples, ["x"], evaluator)
    metric.update(_batch(0, 1), [_found((0, 0, 10, 10, 0.5)), _found((60, 10, 70, 20, 0.9))])
    assert metric.compute()["AP"] == pytest.approx(1.0)


@both
def test_nothing_found_is_zero_and_nothing_to_find_is_absent(evaluator: Evaluator) -> None:
    metric = CocoMetric(make_samples([(0, 0, 10, 10)]), ["x", "y"], evaluator)
    metric.update(_batch(0), [_found()])
    metrics = metric.compute()
    assert (metrics["AP"], metrics["AP/x"], metrics["AP/y"]) == (0, 0, -1)
    empty = CocoMetric(make_samples([]), ["x"], evaluator)
    empty.update(_batch(0), [_found((0, 0, 10, 10, 0.5))])
    assert empty.compute()["AP"] == -1


def test_an_image_that_was_not_predicted_is_reported() -> None:
    metric = CocoMetric(make_samples([], []), ["x"], "hotcoco")
    metric.update(_batch(0), [_found()])
    with pytest.raises(RuntimeError, match="1 of 2 images"):
        metric.compute()


def test_both_evaluators_agree_on_random_detections() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 120, (30, 6, 2))
    images = np.concatenate([corners, corners + generator.uniform(5, 80, (30, 6, 2))], axis=2)
    samples = make_samples(
        *images.tolist(), labels=[number % 3 for number in range(180)], crowd=range(5, 180, 6), size=(200, 200)
    )
    batches = []
    for sample in samples:
        boxes = torch.from_numpy(sample.boxes + generator.normal(0, 4, (6, 4))).float()
        boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        labels = torch.from_numpy(generator.integers(0, 3, 6))
        batches.append(Detections(boxes, labels, torch.from_numpy(generator.uniform(0, 1, 6)).float()))
    results = []
    for evaluator in EVALUATORS:
        metric = CocoMetric(samples, ["a", "b", "c"], evaluator)
        metric.update(_batch(*range(30)), batches)
        results.append(metric.compute())
    assert results[0] == pytest.approx(results[1], abs=1e-9)
    assert 0 < results[0]["AP"] < 1


@both
def test_the_threshold_of_the_best_f1_by_hand(evaluator: Evaluator) -> None:
    """Best first: hit, hit, miss, hit, miss. Precision and recall of 4 objects at each: F1 0.4, 2/3, 4/7, 0.75, 2/3."""
    places = [(0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (60, 0, 70, 10)]
    metric = CocoMetric(make_samples(places), ["x", "y"], evaluator)
    rows = [(*places[0], 0.9), (*places[1], 0.8), (0, 50, 10, 60, 0.7), (*places[2], 0.6), (0, 80, 10, 90, 0.5)]
    metric.update(_batch(0), [_found(*rows)])
    metrics = metric.compute()
    assert metrics["score_threshold/x"] == pytest.approx(0.6)
    assert "score_threshold/y" not in metrics


@both
def test_masks_are_evaluated_by_themselves(evaluator: Evaluator) -> None:
    """Both boxes are right; one mask is the whole object, the other half of it."""
    samples = shape_samples([ShapesImage(0, 0, 64, 64), ShapesImage(0, 1, 64, 64)])
    metric = CocoMetric(samples, CLASSES, evaluator, masks=True)
    for index, sample in enumerate(samples):
        masks = np.stack([object_mask(text, sample.size, "") for text in sample.segmentations])
        if index:
            for mask, box in zip(masks, sample.boxes.astype(int), strict=True):
                mask[: (box[1] + box[3]) // 2] = False
        found = Detections(
            torch.from_numpy(sample.boxes),
            torch.from_numpy(sample.labels),
            torch.full((len(masks),), 0.9 - 0.1 * index),
            PackedMasks.of(masks),
        )
        metric.update(_batch(index), [found])
    metrics = metric.compute()
    assert metrics["AP"] == pytest.approx(1)
    assert 0.3 < metrics["segm_AP"] < 0.95
    assert metrics["segm_AP"] == pytest.approx(
        np.mean([value for name, value in metrics.items() if name.startswith("segm_AP/") and value >= 0])
    )
