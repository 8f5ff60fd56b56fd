"""Losses against their definitions, and blind to ignored pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from backbones import InputError, create_backbone
from tasks import create_task
from tasks.data.masks.labels import IGNORE, Labels
from tasks.data.masks.samples import MaskedSample
from tasks.segmentation.balance import median_frequency_weights
from tasks.segmentation.losses import SegmentationLoss, deep_supervision_weights
from tests.heads import head as make_head

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


def test_a_class_without_weight_alone_in_a_batch_costs_nothing() -> None:
    """Where torch divides 0 by 0; with any weight in the batch it is torch's figure, smoothed or not."""
    weights = (0.0, 2.0, 0.5)
    logits = torch.randn(2, 3, 5, 5, requires_grad=True)
    for smoothing in (0.0, 0.2):
        loss = SegmentationLoss("cross_entropy", class_weights=weights, label_smoothing=smoothing)
        alone = loss(logits, torch.zeros(2, 5, 5, dtype=torch.long))["cross_entropy"]
        (gradient,) = torch.autograd.grad(alone, logits)
        assert alone.item() == 0
        assert gradient.isfinite().all()
        assert gradient.abs().max() == 0
        target = torch.randint(0, 3, (2, 5, 5))
        target[0, 0] = IGNORE
        expected = functional.cross_entropy(
            logits, target, torch.tensor(weights), ignore_index=IGNORE, label_smoothing=smoothing
        )
        torch.testing.assert_close(loss(logits, target)["cross_entropy"], expected)


def test_a_name_that_comes_twice_counts_twice() -> None:
    logits, target = torch.randn(2, 3, 5, 5), torch.randint(0, 3, (2, 5, 5))
    (twice,) = SegmentationLoss("0.3 * dice + 0.9 * dice")(logits, target).values()
    assert twice.item() == pytest.approx(1.2 * SegmentationLoss("dice")(logits, target)["dice"].item())


@pytest.mark.parametrize("name", ["focal", "tversky"])
def test_what_a_loss_lets_be_set_is_its_definition(name: str) -> None:
    """By hand: Lin et al. 2017, equation 5; Salehi et al. 2017, equation 3; averaged over the classes."""
    logits, target = torch.randn(2, 3, 5, 5), torch.randint(0, 3, (2, 5, 5))
    truth = functional.one_hot(target, 3).movedim(-1, 1).float()
    loss = SegmentationLoss(name, focal_alpha=0.3, focal_gamma=1.5, tversky_beta=0.6)(logits, target)[name]
    if name == "focal":
        p = torch.where(truth > 0, logits.sigmoid(), 1 - logits.sigmoid())
        alpha = torch.where(truth > 0, 0.3, 0.7)
        expected = (-alpha * (1 - p) ** 1.5 * p.log()).mean()
    else:
        p = logits.softmax(1)
        hits, misses, alarms = ((a * b).sum((0, 2, 3)) for a, b in ((p, truth), (1 - p, truth), (p, 1 - truth)))
        expected = (1 - hits / (hits + 0.6 * misses + 0.4 * alarms)).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("dise", "dise"),
        ("dice + ", ""),
        ("2 dice", "2 dice"),
        ("1..2 * dice", "1..2 \\* dice"),
        (". * dice", ". \\* dice"),
    ],
)
def test_unknown_losses_are_named(formula: str, name: str) -> None:
    with pytest.raises(InputError, match=f"head.loss: '{name}' is not known"):
        SegmentationLoss(formula)


def test_a_term_that_weighs_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"head\.loss: '0 \* dice' weighs nothing; leave it out"):
        SegmentationLoss("bce + 0 * dice")


def test_as_many_weights_as_classes() -> None:
    backbone = create_backbone("resnet18")
    with pytest.raises(InputError, match=r"head\.class_weights: 2 weights for 3 classes \(a, b, c\)"):
        create_task("segmentation", backbone, ["a", "b", "c"], head=make_head("unet", class_weights=(1.0, 2.0)))


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
