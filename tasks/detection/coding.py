"""Boxes as a network gives them, and back; clipped to their images."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection._utils import encode_boxes

_LARGEST = math.log(1000 / 16)  # of the logarithm of a side: what is beyond it would overflow

Weights = tuple[float, float, float, float]


def encode(wanted: Tensor, references: Tensor, weights: Weights = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """What decodes to the wanted boxes (n, 4), from references (n, 4): torchvision's `BoxCoder.encode_single`, which
    makes the host wait for the device."""
    codes: Tensor = encode_boxes(wanted, references, weights)
    return codes


def decode(codes: Tensor, references: Tensor, weights: Weights = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """(..., 4) of the boxes (..., 4) that the codes are relative to -> (..., 4): torchvision's
    `BoxCoder.decode_single` (Ren et al. 2015, equation 2), for any shape."""
    sides = references[..., 2:] - references[..., :2]
    centre = references[..., :2] + 0.5 * sides
    x, y, width, height = weights
    if weights != (1.0, 1.0, 1.0, 1.0):
        codes = torch.stack([code / w for code, w in zip(codes.unbind(-1), (x, y, width, height), strict=True)], dim=-1)
    centre = codes[..., :2] * sides + centre
    half = 0.5 * (torch.exp(codes[..., 2:].clamp(max=_LARGEST)) * sides)
    return torch.cat([centre - half, centre + half], dim=-1)


def limits_of(sizes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """(height, width) of N images -> (N, 4) float32: what the coordinates of their boxes are at most."""
    rows = torch.tensor([[width, height, width, height] for height, width in sizes], dtype=torch.float32)
    return rows.to(device, non_blocking=True)


def clipped(boxes: Tensor, limits: Tensor) -> Tensor:
    """(..., 4) -> (..., 4) within their images."""
    return torch.minimum(boxes.clamp(min=0), limits)


def has_sides_of(boxes: Tensor, least: float) -> Tensor:
    """(..., 4) -> (...) bool: neither side is shorter; not of a box that is no number."""
    return (boxes[..., 2:] - boxes[..., :2] >= least).all(-1)
