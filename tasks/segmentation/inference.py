"""Logits of whole images: at once, or window by window; as they are, or averaged over mirror images."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Logits = Callable[[Tensor], Tensor]

_SIGMA_SHARE = 1 / 8  # of the window's side: Isensee et al. 2021, "nnU-Net", online methods, "Inference"


def windowed(logits: Logits, images: Tensor, side: int, overlap: float = 0.5) -> Tensor:
    """Logits from square windows that overlap, weighed by a Gaussian so that their borders count little.

    Args:
        logits: (N, C, h, w) -> (N, classes, h, w).
        images: (N, C, H, W).
        side: of a window in pixels; along a shorter image it is the image's length.
        overlap: the share of a window (0 to below 1) that the next one covers again, at least.

    Returns:
        (N, classes, H, W) float32.
    """
    height, width = images.shape[2:]
    size = min(side, height), min(side, width)
    weights = _gaussian(size).to(images.device)
    total: Tensor | None = None
    mass = torch.zeros(height, width, device=images.device)
    for top in _starts(height, size[0], overlap):
        for left in _starts(width, size[1], overlap):
            window = (..., slice(top, top + size[0]), slice(left, left + size[1]))
            part = logits(images[window]).float() * weights
            if total is None:
                total = part.new_zeros(*part.shape[:2], height, width)
            total[window] += part
            mass[window] += weights
    assert total is not None
    return total / mass


def mirrored(logits: Logits, images: Tensor) -> Tensor:
    """Probabilities averaged over the image and its horizontal mirror image, as log-probabilities."""
    one = logits(images).float().log_softmax(1)
    other = logits(images.flip(-1)).float().flip(-1).log_softmax(1)
    return torch.logaddexp(one, other) - math.log(2)  # a probability may be too small for a float, its logarithm is not


def _starts(length: int, window: int, overlap: float) -> list[int]:
    step = max(1, round(window * (1 - overlap)))
    count = -(-(length - window) // step) + 1
    return [round(position * (length - window) / max(1, count - 1)) for position in range(count)]


def _gaussian(size: tuple[int, int]) -> Tensor:
    rows, columns = (torch.arange(length) - (length - 1) / 2 for length in size)
    exponent = (rows / (size[0] * _SIGMA_SHARE))[:, None] ** 2 + (columns / (size[1] * _SIGMA_SHARE))[None] ** 2
    return torch.exp(-exponent / 2).clamp(min=1e-4)
