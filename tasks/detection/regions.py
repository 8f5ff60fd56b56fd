"""Boxes of all images in a row, those on the finest level of a pyramid first."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Regions:
    """Boxes to pool.

    Attributes:
        rows: (n,) int64, their places among all the boxes that they are some of.
        boxes: (n, 4) in pixels of their images.
        images: (n,) int64.
        counts: how many are on each level.
        counts_of_some: how many of these are among the ones that were counted besides.
    """

    rows: Tensor
    boxes: Tensor
    images: Tensor
    counts: list[int]
    counts_of_some: list[int]

    @classmethod
    def of(cls, boxes: Tensor, chosen: Tensor, levels: Tensor, number: int, some: Tensor | None = None) -> Self:
        """The chosen ones, each image's in their order; the host waits for the device once.

        Args:
            boxes: (N, K, 4).
            chosen: (N, K) bool.
            levels: (N, K) int64, below `number`.
            some: (N, K) bool, some of the chosen, to be counted as well.
        """
        place = torch.where(chosen, levels, number).flatten()
        order = place.argsort(stable=True)
        there = place[:, None] == torch.arange(number, device=place.device)
        among = there if some is None else there & some.flatten()[:, None]
        counts, counts_of_some = torch.stack([there.sum(0), among.sum(0)]).tolist()  # the host waits here
        rows = order[: sum(counts)]
        images = torch.div(rows, boxes.shape[1], rounding_mode="floor")
        return cls(rows, boxes.flatten(0, 1)[rows], images, counts, counts_of_some)

    def some(self, these: Tensor) -> "Regions":
        """(n,) bool, the ones that were counted besides -> these alone; `rows` are places among the regions here."""
        rows = (~these).to(torch.uint8).argsort(stable=True)[: sum(self.counts_of_some)]
        return Regions(rows, self.boxes[rows], self.images[rows], self.counts_of_some, self.counts_of_some)
