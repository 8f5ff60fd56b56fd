"""Which anchors and proposals a two-stage detector learns from: a random few of each image.

torchvision draws them from the device's generator, image by image, so that a draw depends on all draws before it. Here
it depends on the image's own seed alone: not on its place in the batch, on the process that has it, or on the device.
Nor does the host wait for the device.
"""

from typing import Self

import torch
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

# The finalizer of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
_INCREMENT, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_NEVER = 2**63 - 1
_SIDES = 2**15  # more than an image has pixels in a row
_LARGEST = _SIDES - 1
_CELL = 4  # pixels: the wider, the fewer boxes lie where rounding moves them into another


class SeededSampler:
    """At most so many examples of an image, of which at most a share are objects, as in Ren et al. 2015, section 3.1.3.

    Args:
        batch_size_per_image: examples of an image.
        positive_fraction: of these; what is not filled with objects is filled with background.
        stream: which of several samplers this is: each draws by itself.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float, stream: int) -> None:
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction
        self.stream = stream

    @classmethod
    def instead_of(cls, sampler: BalancedPositiveNegativeSampler, stream: int) -> Self:
        """As many examples and objects as torchvision's."""
        return cls(sampler.batch_size_per_image, sampler.positive_fraction, stream)

    def __call__(self, labels: Tensor, seeds: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Which examples are sampled.

        Args:
            labels: (N, K), above 0 of objects, 0 of the background, below it of neither.
            seeds: (N,) int64, of the images.
            boxes: (N, K, 4) of proposals: a draw then depends on the box, to some pixels, instead of on its place in
                the list. Proposals come in the order of their scores, and both may change by rounding.

        Returns:
            bool (N, K).
        """
        chosen = torch.zeros(labels.shape, dtype=torch.int8, device=labels.device)
        for rows, taken in self.rows(labels, seeds, boxes):
            chosen = chosen.scatter_add(1, rows, taken.to(torch.int8))
        return chosen > 0

    def rows(self, labels: Tensor, seeds: Tensor, boxes: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
        """Where the sampled objects stand, and where the sampled background: (N, k) int64 each, and (N, k) bool, which
        of them are sampled; k is what an image has at most."""
        numbers = torch.arange(1, labels.shape[1] + 1, device=labels.device) if boxes is None else _numbered(boxes)
        order = random_numbers(numbers, seeds + as_int64(self.stream * _SECOND))
        most = self.batch_size_per_image
        objects = _first(labels >= 1, order, int(most * self.positive_fraction), ties=boxes is not None)
        rows, there = _first(labels == 0, order, most, ties=boxes is not None)
        left = most - objects[1].sum(1, keepdim=True)
        return [objects, (rows, there & (torch.arange(rows.shape[1], device=rows.device) < left))]


def random_numbers(numbers: Tensor, seeds: Tensor) -> Tensor:
    """For each number (K,) or (N, K) int64 and seed (N,) int64 one from 0 to 2^63 - 2, (N, K), the same on every
    device."""
    number = numbers * as_int64(_INCREMENT) + _mixed(seeds)[:, None]
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        number = (number ^ _shifted(number, shift)) * as_int64(factor)
    return (number ^ _shifted(number, 31)) & (_NEVER - 1)


def as_int64(number: int) -> int:
    """Its lowest 64 bits, as a signed integer."""
    return (number + 2**63) % 2**64 - 2**63


def _numbered(boxes: Tensor) -> Tensor:
    """(N, K, 4) in pixels -> (N, K) int64, another for every box that differs by some pixels."""
    x_min, y_min, x_max, y_max = (boxes / _CELL).round().long().clamp(0, _LARGEST).unbind(-1)
    return ((x_min * _SIDES + y_min) * _SIDES + x_max) * _SIDES + y_max


def _first(candidates: Tensor, order: Tensor, most: int, *, ties: bool) -> tuple[Tensor, Tensor]:
    """Where the first of the candidates (N, K) in this order stand, and whether there are so many."""
    most = min(most, candidates.shape[1])
    order = order.masked_fill(~candidates, _NEVER)
    if ties:  # which of two equal numbers `topk` takes depends on how many there are, and so on the rest of the batch
        values, rows = order.sort(dim=1, stable=True)
        return rows[:, :most], values[:, :most] < _NEVER
    values, rows = order.topk(most, dim=1, largest=False, sorted=True)
    return rows, values < _NEVER


def _mixed(seeds: Tensor) -> Tensor:
    """So that seeds which follow each other give nothing that does."""
    seeds = (seeds ^ (seeds >> 30)) * as_int64(_FIRST)
    return (seeds ^ _shifted(seeds, 27)) * as_int64(_SECOND)


def _shifted(number: Tensor, bits: int) -> Tensor:
    """As of unsigned integers, which torch has no shift for."""
    return (number >> bits) & ((1 << (64 - bits)) - 1)
