"""Losses of logits against labels, by name and as weighted sums. Ignored pixels take no part in any of them."""

import re
from collections.abc import Callable, Sequence

import torch
from segmentation_models_pytorch.losses import MULTICLASS_MODE, DiceLoss, FocalLoss, LovaszLoss, TverskyLoss
from torch import Tensor
from torch.nn import functional

from backbones import InputError, nearest
from tasks.data import IGNORE

Loss = Callable[[Tensor, Tensor], Tensor]

_TERM = re.compile(r"\s*(?:([0-9.]+)\s*\*\s*)?([a-z_]+)\s*")
_TVERSKY_MISSES = 0.7  # Salehi et al. 2017, "Tversky loss function", section 4: misses weigh more than false alarms


class SegmentationLoss:
    """A weighted sum of losses: "cross_entropy + 0.5 * dice".

    Args:
        formula: terms of cross_entropy | bce | dice | focal | lovasz | tversky.
        class_weights: one a class for cross-entropy, or none.
        label_smoothing: of cross-entropy, 0..1.

    Raises:
        InputError: a term that is not known.
    """

    def __init__(self, formula: str, class_weights: Sequence[float] = (), label_smoothing: float = 0.0) -> None:
        weights = torch.tensor(class_weights) if class_weights else None
        known: dict[str, Loss] = {
            "cross_entropy": lambda logits, target: _cross_entropy(logits, target, weights, label_smoothing),
            "bce": _bce,
            "dice": DiceLoss(MULTICLASS_MODE, ignore_index=IGNORE),
            "focal": FocalLoss(MULTICLASS_MODE, ignore_index=IGNORE),
            "lovasz": LovaszLoss(MULTICLASS_MODE, ignore_index=IGNORE),
            "tversky": TverskyLoss(
                MULTICLASS_MODE, ignore_index=IGNORE, alpha=1 - _TVERSKY_MISSES, beta=_TVERSKY_MISSES
            ),
        }
        self.terms: list[tuple[str, float, Loss]] = []
        for term in formula.split("+"):
            match = _TERM.fullmatch(term)
            if match is None or match[2] not in known:
                name = match[2] if match else term.strip()
                raise InputError(f"head.loss: {name!r} is not known{nearest(name, known)} (known: {', '.join(known)})")
            self.terms.append((match[2], float(match[1] or 1.0), known[match[2]]))

    def __call__(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Logits (N, classes, H, W) and labels (N, H, W), `IGNORE` among them -> each weighted term, a scalar.

        Where every pixel is ignored, all are zero.
        """
        logits = logits.float()
        if not (target != IGNORE).any():
            return {name: logits.sum() * 0.0 for name, _, _ in self.terms}
        return {name: weight * loss(logits, target) for name, weight, loss in self.terms}


def _cross_entropy(logits: Tensor, target: Tensor, weights: Tensor | None, smoothing: float) -> Tensor:
    moved = None if weights is None else weights.to(logits.device)
    return functional.cross_entropy(logits, target, weight=moved, ignore_index=IGNORE, label_smoothing=smoothing)


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
