"""top1, top5 and the confusion matrix against torchmetrics and a hand-worked case."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_recall,
)

from tasks.classification import ClassificationMetric
from tasks.data import Batch, LabelledSamples

CLASSES = tuple(f"class {number}" for number in range(12))


def samples(labels: Tensor) -> LabelledSamples:
    return LabelledSamples([f"{number:03d}" for number in range(len(labels))], [None] * len(labels), labels.numpy())  # type: ignore[list-item]


def batch(indices: list[int], labels: Tensor) -> Batch:
    targets = [{"label": labels[index]} for index in indices]
    return Batch([], targets, indices, [f"{index}" for index in indices], [])


def test_figures_are_torchmetrics() -> None:
    labels, scores = torch.randint(0, 11, (200,)), torch.randn(200, 12).softmax(1)  # of the last class there is none
    metric = ClassificationMetric(samples(labels), CLASSES)
    for start in range(0, 200, 64):
        indices = list(range(start, min(200, start + 64)))
        metric.update(batch(indices, labels), list(scores[indices]))
    found = metric.compute()
    for name, k in (("top1", 1), ("top5", 5)):
        expected = multiclass_accuracy(scores, labels, 12, average="micro", top_k=k)
        assert found[name] == pytest.approx(expected.item())
    recall = multiclass_recall(scores, labels, 12, average="none")
    assert [found[f"recall/{name}"] for name in CLASSES[:11]] == pytest.approx(recall[:11].tolist())
    assert found["recall/class 11"] == -1
    assert found["images"] == 200
    assert np.array_equal(metric.confusion(), multiclass_confusion_matrix(scores, labels, 12).numpy())


def test_a_case_by_hand() -> None:
    labels = torch.tensor([0, 1, 1, 2])
    metric = ClassificationMetric(samples(labels), ("a", "b", "c"))
    scores = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.8, 0.0], [0.6, 0.3, 0.1], [0.7, 0.2, torch.nan]])
    metric.update(batch([0, 1, 2, 3], labels), list(scores))
    metric.update(batch([0], labels), [torch.tensor([0.0, 0.0, 1.0])])  # a second time counts nowhere
    assert metric.compute() == {
        "top1": 0.5,
        "top5": 1.0,
        "images": 4,
        "recall/a": 1.0,
        "recall/b": 0.5,
        "recall/c": 0.0,
    }
    assert metric.confusions() == [("b", "a", 1), ("c", "a", 1)]
    assert metric.confusion().tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]


def test_two_halves_are_the_whole_and_a_missing_image_is_an_error() -> None:
    labels, scores = torch.randint(0, 12, (20,)), torch.randn(20, 12)
    whole, first, second = (ClassificationMetric(samples(labels), CLASSES) for _ in range(3))
    whole.update(batch(list(range(20)), labels), list(scores))
    first.update(batch(list(range(0, 20, 2)), labels), list(scores[::2]))
    with pytest.raises(RuntimeError, match="10 of 20 images were not predicted"):
        first.compute()
    second.update(batch(list(range(1, 20, 2)), labels), list(scores[1::2]))
    first.merge(second.arrays())
    assert first.compute() == whole.compute()
