"""Losses against their definitions, and blind to ignored pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from backbones import InputError
from tasks.data.masks.labels import IGNORE, Labels
from tasks.data.masks.samples import MaskedSample
from tasks.segmentation.balance import median_frequency_weights
from tasks.segmentation.losses import SegmentationLoss, deep_supervision_weights

NAMES = ["cross_entropy", "bce", "dice", "focal", "lovasz", "tversky"]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_ignored_pixels_move_neither_loss_nor_gradient(name: str, classes: int) -> None:
    loss = SegmentationLoss(name, label_smoothing=0.1 if name == "cross_entropy" else 0.0)
    target = torch.randint(0, classes, (2, 8, 8))
    ignored = torch.rand(2, 8, 8) < 0.3
    target[ignored] = IGNORE
    logits = torch.randn(2, classes, 8, 8, requires_grad=True)
    other = logits.detach().clone()
    other.movedim(1, -1)[ignored] += 5 * torch.randn(int(ignored.sum()), classes)
    other.requires_grad_()
    one, two = loss(logits, target)[name], loss(other, target)[name]
    assert one.item() > 0
    torch.testing.assert_close(one, two)
    one.backward()
    two.backward()
    assert logits.grad is not None
    assert other.grad is not None
    torch.testing.assert_close(logits.grad, other.grad)
    assert logits.grad.movedim(1, -1)[ignored].abs().max() == 0
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_where_all_is_ignored_the_loss_is_zero_and_finite(name: str) -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    value = SegmentationLoss(name)(logits, torch.full((1, 4, 4), IGNORE))[name]
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().sum() == 0


def test_a_sum_with_weights() -> None:
    logits, target = torch.randn(2, 3, 5, 5), torch.randint(0, 3, (2, 5, 5))
    terms = SegmentationLoss("cross_entropy + 0.5 * dice")(logits, target)
    assert terms["cross_entropy"] == functional.cross_entropy(logits, target)
    probabilities, truth = logits.softmax(1), functional.one_hot(target, 3).movedim(-1, 1)
    overlap = (probabilities * truth).sum((0, 2, 3))
    dice = 2 * overlap / (probabilities + truth).sum((0, 2, 3))
    assert terms["dice"].item() == pytest.approx(0.5 * (1 - dice).mean().item(), rel=1e-5)


def test_class_weights() -> None:
    logits, target = torch.randn(2, 3, 5, 5), torch.randint(0, 3, (2, 5, 5))
    found = SegmentationLoss("cross_entropy", class_weights=(1.0, 2.0, 0.5))(logits, target)["cross_entropy"]
    assert found == functional.cross_entropy(logits, target, weight=torch.tensor([1.0, 2.0, 0.5]))


@pytest.mark.parametrize(("formula", "name"), [("dise", "dise"), ("dice + ", ""), ("2 dice", "2 dice")])
def test_unknown_losses_are_named(formula: str, name: str) -> None:
    with pytest.raises(InputError, match=f"head.loss: '{name}' is not known"):
        SegmentationLoss(formula)


def test_deep_supervision_weights_sum_to_one_and_none_is_zero() -> None:
    assert deep_supervision_weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert min(deep_supervision_weights(5)) > 0


class _Mask:
    def __init__(self, values: list[int]) -> None:
        self.values = np.array([values], np.uint8)

    def labels(self) -> Labels:
        return self.values


def test_median_frequency_weights_by_hand() -> None:
    """Frequencies where a class occurs: 0: 5/8, 1: 2/4, 2: 1/4; 3 never. The median is 1/2."""
    samples = [
        MaskedSample(str(number), Path(), _Mask(values))
        for number, values in enumerate([[0, 0, 0, 2], [0, 0, 1, 1, IGNORE]])
    ]
    assert median_frequency_weights(samples, 4) == (0.8, 1.0, 2.0, 0.0)
