"""Segmentation metrics by hand, and against torchmetrics' definitions written out."""

import pytest
import torch

from tasks.data.masks import IGNORE
from tasks.segmentation.metric import SegmentationMetric, confusion_matrix, segmentation_metrics
from tasks.task import Batch


def test_a_hand_worked_case() -> None:
    truth = torch.tensor([[0, 0, 1, 1], [IGNORE, 0, 1, 2]])
    found = torch.tensor([[0, 1, 1, 1], [2, 0, 0, 2]])
    metrics = segmentation_metrics(confusion_matrix(found, truth, 4), ("a", "b", "c", "d"))
    assert metrics["IoU/a"] == pytest.approx(2 / 4)  # 2 hits, 1 missed, 1 too many
    assert metrics["IoU/b"] == pytest.approx(2 / 4)
    assert metrics["IoU/c"] == 1
    assert metrics["Dice/a"] == pytest.approx(4 / 6)
    assert metrics["IoU/d"] == metrics["Dice/d"] == -1  # absent: neither 0 nor 1, and not in the mean
    assert metrics["mIoU"] == pytest.approx(2 / 3)
    assert metrics["pixel_accuracy"] == pytest.approx(5 / 7)


def test_one_matrix_over_the_whole_set_and_every_picture_once() -> None:
    truths = [torch.randint(0, 3, (6, 7)), torch.randint(0, 3, (4, 9))]
    found = [torch.randint(0, 3, (6, 7)), torch.randint(0, 3, (4, 9))]
    metric = SegmentationMetric([None, None], ("a", "b", "c"))  # type: ignore[list-item]
    for index in (0, 1, 1):  # the last one comes twice
        batch = Batch([], [{"mask": truths[index]}], [index], [""], [(0, 0)])
        metric.update(batch, [found[index]])
    metrics = metric.compute()
    assert metrics["images"] == 2
    pixels = torch.cat([truth.flatten() for truth in truths]), torch.cat([labels.flatten() for labels in found])
    for label, name in enumerate("abc"):
        both = ((pixels[0] == label) & (pixels[1] == label)).sum()
        either = ((pixels[0] == label) | (pixels[1] == label)).sum()
        assert metrics[f"IoU/{name}"] == pytest.approx((both / either).item())
    assert metric.confusion.dtype == torch.int64


def test_pictures_that_were_not_predicted_are_counted() -> None:
    metric = SegmentationMetric([None], ("a",))  # type: ignore[list-item]
    with pytest.raises(RuntimeError, match="1 of 1 pictures were not predicted"):
        metric.compute()


def test_ignored_pixels_count_nowhere() -> None:
    truth = torch.tensor([[0, IGNORE]])
    one = confusion_matrix(torch.tensor([[0, 0]]), truth, 2)
    assert torch.equal(one, confusion_matrix(torch.tensor([[0, 1]]), truth, 2))
    assert one.sum() == 1
