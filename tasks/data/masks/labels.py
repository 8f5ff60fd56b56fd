"""Masks as labels of the class map."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BACKGROUND = "background"
IGNORE = 255  # the label of pixels that count nowhere

Labels = NDArray[np.uint8]


class Mask(Protocol):
    """Gives the labels of an image's pixels."""

    def labels(self) -> Labels:
        """uint8 (H, W): positions in the data set's classes, or `IGNORE`."""
        ...

    def content(self) -> bytes:
        """What it is made of, as far as that is known without reading it: another mask is mostly other bytes."""
        ...


@dataclass(frozen=True)
class RelabelledMask:
    """A mask with label `positions[k]` for each k; a negative one is ignored."""

    mask: Mask
    positions: NDArray[np.int64]

    def labels(self) -> Labels:
        table = np.full(256, IGNORE, np.uint8)
        table[: len(self.positions)] = np.where(self.positions < 0, IGNORE, self.positions)
        return table[self.mask.labels()]

    def content(self) -> bytes:
        return self.positions.tobytes() + self.mask.content()
