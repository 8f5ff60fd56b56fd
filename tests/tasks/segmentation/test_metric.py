"""Segmentation metrics by hand, and against torchmetrics."""

from typing import Any

import pytest
import torch

from backbones import InputError
from tasks.data.loading.batch import Batch
from tasks.data.masks.labels import IGNORE
from tasks.segmentation.boundary import boundary_counts
from tasks.segmentation.metric import SegmentationMetric, confusion_matrix, segmentation_metrics


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


def test_one_matrix_over_the_whole_set_and_every_image_once() -> None:
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


@pytest.mark.parametrize(
    ("found", "truth", "message"),
    [
        ([[0, 3]], [[0, 1]], "a.png: its prediction has the label 3; there are 3 classes, from 0"),  # (0, 3) is (1, 0)
        ([[0, -1]], [[0, 1]], "a.png: its prediction has the label -1; there are 3 classes, from 0"),
        ([[0, 1]], [[0, 9]], "a.png: its mask has the label 9; there are 3 classes, from 0"),
        ([[0, 1]], [[0], [1]], "a.png: the prediction is 1 x 2, the mask 2 x 1 pixels"),
    ],
)
def test_labels_beyond_the_classes_are_no_hits_of_others(found: Any, truth: Any, message: str) -> None:
    metric = SegmentationMetric([None], ("a", "b", "c"))  # type: ignore[list-item]
    batch = Batch([], [{"mask": torch.tensor(truth)}], [0], ["a.png"], [(0, 0)])
    with pytest.raises(InputError) as caught:
        metric.update(batch, [torch.tensor(found)])
    assert str(caught.value) == message


def test_images_that_were_not_predicted_are_counted() -> None:
    metric = SegmentationMetric([None], ("a",))  # type: ignore[list-item]
    with pytest.raises(RuntimeError, match="1 of 1 images were not predicted"):
        metric.compute()


def test_ignored_pixels_count_nowhere() -> None:
    truth = torch.tensor([[0, IGNORE]])
    one = confusion_matrix(torch.tensor([[0, 0]]), truth, 2)
    assert torch.equal(one, confusion_matrix(torch.tensor([[0, 1]]), truth, 2))
    assert one.sum() == 1


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated")
def test_equals_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_jaccard_index
    from torchmetrics.functional.segmentation import dice_score

    truth, found = torch.randint(0, 5, (40, 50)), torch.randint(0, 5, (40, 50))
    ignored = torch.rand(40, 50) < 0.2
    truth[ignored] = IGNORE
    matrix = confusion_matrix(found, truth, 5)
    assert torch.equal(matrix, multiclass_confusion_matrix(found, truth, 5, ignore_index=IGNORE))
    metrics = segmentation_metrics(matrix, tuple("abcde"))
    iou = multiclass_jaccard_index(found, truth, 5, average=None, ignore_index=IGNORE)
    assert [metrics[f"IoU/{name}"] for name in "abcde"] == pytest.approx(iou.tolist())
    kept = ~ignored
    dice = dice_score(found[kept][None], truth[kept][None], 5, average=None, input_format="index")
    assert [metrics[f"Dice/{name}"] for name in "abcde"] == pytest.approx(dice.flatten().tolist())


def _square(top: int, left: int) -> torch.Tensor:
    labels = torch.zeros(20, 20, dtype=torch.long)
    labels[top : top + 6, left : left + 6] = 1
    return labels


def test_boundary_dice_by_hand() -> None:
    """A square of 6 pixels has a boundary of 20. Moved by one to the right, 10 pixels of each lie on the other's
    and the rest within one pixel; moved by three, the columns that are left alone are three away."""
    assert boundary_counts(_square(5, 5), _square(5, 5), 2, 0)[1].tolist() == [40, 40]
    assert boundary_counts(_square(5, 6), _square(5, 5), 2, 0)[1].tolist() == [2 * 10, 40]
    assert boundary_counts(_square(5, 6), _square(5, 5), 2, 1)[1].tolist() == [40, 40]
    assert boundary_counts(_square(5, 8), _square(5, 5), 2, 2)[1].tolist()[0] < 40
    assert boundary_counts(_square(5, 8), _square(5, 5), 2, 3)[1].tolist() == [40, 40]
    # Along the image's edge there is no boundary: 6 above, 6 below and 4 more to the right.
    assert boundary_counts(_square(5, 0), _square(5, 0), 2, 0)[1].tolist() == [2 * 16, 2 * 16]
    nothing = torch.zeros(20, 20, dtype=torch.long)
    assert boundary_counts(nothing, _square(5, 5), 2, 3)[1].tolist() == [0, 20]
    ignored = _square(5, 5)
    ignored[:, 8:] = IGNORE
    assert boundary_counts(_square(5, 5), ignored, 2, 0)[1, 1] < 40


def test_boundary_dice_over_a_set() -> None:
    metric = SegmentationMetric([None, None], ("ground", "square", "absent"), 0)  # type: ignore[list-item]
    for index, found in enumerate((_square(5, 5), _square(5, 6))):
        metric.update(Batch([], [{"mask": _square(5, 5)}], [index], [""], [(0, 0)]), [found])
    metrics = metric.compute()
    assert metrics["boundary_Dice/square"] == pytest.approx(60 / 80)
    assert metrics["boundary_Dice/absent"] == -1
    assert metrics["boundary_Dice"] == pytest.approx((60 / 80 + metrics["boundary_Dice/ground"]) / 2)


def test_metrics_of_several_processes_are_summed() -> None:
    truths = [torch.randint(0, 3, (6, 7)) for _ in range(3)]
    found = [torch.randint(0, 3, (6, 7)) for _ in range(3)]
    batches = [Batch([], [{"mask": truth}], [index], [""], [(0, 0)]) for index, truth in enumerate(truths)]
    alone, one, two = (SegmentationMetric([None] * 3, ("a", "b", "c"), 1) for _ in range(3))  # type: ignore[list-item]
    for metric, indices in ((alone, (0, 1, 2)), (one, (0, 2)), (two, (1,))):
        for index in indices:
            metric.update(batches[index], [found[index]])
    one.merge(two.arrays())
    assert one.compute() == alone.compute()
    with pytest.raises(RuntimeError, match="1 images were evaluated by two processes"):
        one.merge(two.arrays())
