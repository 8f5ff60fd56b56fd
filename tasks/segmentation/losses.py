"""Losses of logits against labels, by name and as weighted sums. Ignored pixels take no part in any of them."""

from collections.abc import Callable, Sequence

import torch
from segmentation_models_pytorch.losses import MULTICLASS_MODE, DiceLoss, FocalLoss, LovaszLoss, TverskyLoss
from torch import Tensor
from torch.nn import functional

from backbones import InputError
from tasks.config import SettingsError, parse_loss
from tasks.data import IGNORE

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
        known: dict[str, Loss] = {
            "cross_entropy": lambda logits, target: _cross_entropy(logits, target, weights, label_smoothing),
            "bce": _bce,
            "dice": DiceLoss(MULTICLASS_MODE, ignore_index=IGNORE),
            "focal": FocalLoss(MULTICLASS_MODE, alpha=focal_alpha, gamma=focal_gamma, ignore_index=IGNORE),
            "lovasz": LovaszLoss(MULTICLASS_MODE, ignore_index=IGNORE),
            "tversky": TverskyLoss(MULTICLASS_MODE, ignore_index=IGNORE, alpha=1 - tversky_beta, beta=tversky_beta),
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
        if not (target != IGNORE).any():
            return {name: logits.sum() * 0.0 for name, _, _ in self.terms}
        return {name: weight * loss(logits, target) for name, weight, loss in self.terms}


def _cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    """With weights as torch's: divided by the weights of all pixels. Where those sum to 0 it is 0 (there NaN)."""
    if weights is None:
        return functional.cross_entropy(logits, target, ignore_index=IGNORE, label_smoothing=smoothing)
    weights = weights.to(logits.device)
    total = functional.cross_entropy(
        logits, target, weight=weights, ignore_index=IGNORE, label_smoothing=smoothing, reduction="sum"
    )
    ignored = target == IGNORE
    mass = weights[target.masked_fill(ignored, 0)].masked_fill(ignored, 0.0).sum()
    return total / torch.where(mass > 0, mass, 1.0) * (mass > 0)


def _bce(logits: Tensor, target: Tensor) -> Tensor:
    """Every class against the rest, averaged over classes and pixels."""
    valid = target != IGNORE
    classes = logits.shape[1]
    wanted = functional.one_hot(target[valid], classes).float()
    return functional.binary_cross_entropy_with_logits(logits.movedim(1, -1)[valid], wanted)


def deep_supervision_weights(levels: int) -> list[float]:
    """1, 1/2, 1/4, ... for the finest to the coarsest, summing to 1 (Isensee et al. 2021, "nnU-Net"; there the
    coarsest gets none, which several processes would refuse)."""
    weights = [0.5**level for level in range(levels)]
    return [weight / sum(weights) for weight in weights]
