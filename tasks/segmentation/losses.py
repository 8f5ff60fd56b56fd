"""Losses of logits against labels, by name and as weighted sums. Ignored pixels take no part in any of them."""

from collections.abc import Callable, Sequence

import torch
from segmentation_models_pytorch.losses import MULTICLASS_MODE, FocalLoss, LovaszLoss
from torch import Tensor
from torch.nn import functional

from backbones import InputError
from tasks.config import SettingsError, parse_loss
from tasks.data import IGNORE
from tasks.processes import mean_over_processes, summed

_EPSILON = 1e-7  # least that an overlap is divided by, as in segmentation-models-pytorch
Loss = Callable[[Tensor, Tensor], Tensor]


class SegmentationLoss:
    """A weighted sum of losses: "cross_entropy + 0.5 * dice".

    Args:
        formula: terms of cross_entropy | bce | dice | focal | lovasz | tversky.
        class_weights: one a class for cross-entropy, or none.
        label_smoothing: of cross-entropy, 0..1.
        focal_alpha, focal_gamma: as in Lin et al. 2017, "Focal loss for dense object detection", equation 5; without
            alpha it is equation 4.
        tversky_beta: weight of misses, against 1 - beta of false alarms; 0.7 as in Salehi et al. 2017, "Tversky loss
            function for image segmentation", section 4.

    Raises:
        InputError: a term that is not known.
    """

    def __init__(
        self,
        formula: str,
        class_weights: Sequence[float] = (),
        label_smoothing: float = 0.0,
        focal_alpha: float | None = None,
        focal_gamma: float = 2.0,
        tversky_beta: float = 0.7,
    ) -> None:
        weights = torch.tensor(class_weights) if class_weights else None
        focal = FocalLoss(MULTICLASS_MODE, alpha=focal_alpha, gamma=focal_gamma, ignore_index=IGNORE, reduction="sum")
        lovasz = LovaszLoss(MULTICLASS_MODE, ignore_index=IGNORE)
        known: dict[str, Loss] = {
            "cross_entropy": lambda logits, target: _cross_entropy(logits, target, weights, label_smoothing),
            "bce": _bce,
            "dice": lambda logits, target: _overlap(logits, target, 0.5),
            "focal": lambda logits, target: mean_over_processes(focal(logits, target), (target != IGNORE).sum()),
            "lovasz": lambda logits, target: _lovasz(logits, target, lovasz),
            "tversky": lambda logits, target: _overlap(logits, target, tversky_beta),
        }
        try:
            terms = parse_loss(formula)
        except SettingsError as error:
            raise InputError(str(error)) from None
        self.terms = [(name, weight, known[name]) for name, weight in terms.items()]

    def __call__(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Logits (N, classes, H, W) and labels (N, H, W), `IGNORE` among them -> each weighted term, a scalar.

        Where every pixel is ignored, all are zero.
        """
        logits = logits.float()
        return {name: weight * loss(logits, target) for name, weight, loss in self.terms}


def _cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """With weights as torch's: divided by the weights of all pixels. Where those sum to 0 it is 0 (there NaN)."""
    ignored = target == IGNORE
    weights = None if weights is None else weights.to(logits.device)
    total = functional.cross_entropy(
        logits, target, weight=weights, ignore_index=IGNORE, label_smoothing=smoothing, reduction="sum"
    )
    if weights is None:
        return mean_over_processes(total, (~ignored).sum())
    total, mass = summed(
        torch.stack([total, weights[target.masked_fill(ignored, 0)].masked_fill(ignored, 0.0).sum()])
    ).unbind()
    return total / torch.where(mass > 0, mass, 1.0) * (mass > 0)


def _bce(logits: Tensor, target: Tensor) -> Tensor:
    """Every class against the rest, averaged over classes and pixels."""
    truth, valid = _one_hot(target, logits.shape[1])
    losses = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return mean_over_processes((losses * valid).sum(), valid.sum() * logits.shape[1])


def _overlap(logits: Tensor, target: Tensor, beta: float) -> Tensor:
    """1 - hits / (hits + beta misses + (1 - beta) false alarms), Dice's for 1/2, of every class over all pixels; the
    mean over the classes, of which those that do not occur cost nothing, as in segmentation-models-pytorch."""
    truth, valid = _one_hot(target, logits.shape[1])
    probabilities, axes = logits.softmax(1) * valid, (0, 2, 3)
    hits, found, there = summed(
        torch.stack([(probabilities * truth).sum(axes), probabilities.sum(axes), truth.sum(axes)])
    )
    scores = hits / (hits + beta * (there - hits) + (1 - beta) * (found - hits)).clamp(min=_EPSILON)
    return ((1 - scores) * (there > 0)).mean()


def _lovasz(logits: Tensor, target: Tensor, loss: Loss) -> Tensor:
    """It sorts all pixels: several processes have the mean of theirs, weighed by their images."""
    images = len(logits)
    if not (target != IGNORE).any():
        return mean_over_processes(logits.sum() * 0.0, images)
    return mean_over_processes(loss(logits, target) * images, images)


def _one_hot(target: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """(N, classes, H, W) 1 where a pixel is of the class, and (N, 1, H, W) 1 where it counts at all."""
    valid = (target != IGNORE)[:, None].float()
    truth = functional.one_hot(target.masked_fill(target == IGNORE, 0), classes).movedim(-1, 1)
    return truth * valid, valid


def deep_supervision_weights(levels: int) -> list[float]:
    """1, 1/2, 1/4, ... for the finest to the coarsest, summing to 1 (Isensee et al. 2021, "nnU-Net"; there the
    coarsest gets none, which several processes would refuse)."""
    weights = [0.5**level for level in range(levels)]
    return [weight / sum(weights) for weight in weights]
