"""Images with their masks."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.dataset.sample import Renderable, read_source
from tasks.data.dataset.splits import Indexed
from tasks.data.masks.labels import IGNORE, Mask, RelabelledMask
from tasks.data.reading import AS_RGB, Reading


@dataclass(frozen=True)
class MaskedSample:
    """An image with its mask.

    Attributes:
        name: the image's file name within its split.
        source: the file, or what renders the image.
        mask: gives uint8 (H, W): positions in the data set's classes, or `IGNORE`.
    """

    name: str
    source: Path | Renderable
    mask: Mask

    @property
    def file(self) -> Path | None:
        """Of the image, unless it is rendered."""
        return self.source if isinstance(self.source, Path) else None

    def read(self, reading: Reading = AS_RGB) -> NDArray[np.uint8]:
        """The image as uint8 (H, W, C), RGB where nothing else is asked for."""
        return read_source(self.source, reading)


@dataclass(frozen=True)
class MaskedSamples:
    """The samples of a split.

    Attributes:
        items: in the order of their names.
        names: of the images.
        labels: those that occur, where that is known without reading every mask.
    """

    items: Indexed[MaskedSample]
    names: Sequence[str]
    labels: frozenset[int] | None = None

    @classmethod
    def of(cls, samples: Sequence[MaskedSample]) -> "MaskedSamples":
        return cls(samples, tuple(sample.name for sample in samples))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int, /) -> MaskedSample:
        return self.items[position]

    def __iter__(self) -> Iterator[MaskedSample]:
        return (self[position] for position in range(len(self)))

    def label_set(self) -> set[int]:
        """The labels that occur."""
        if self.labels is not None:
            return set(self.labels)
        return {int(label) for sample in self for label in np.unique(sample.mask.labels()) if label != IGNORE}

    def class_presence(self, classes: int) -> NDArray[np.bool_]:
        """(images, classes): which label occurs on which image; every mask is read."""
        found = np.zeros((len(self), IGNORE + 1), np.bool_)
        for row, sample in zip(found, self, strict=True):
            row[np.unique(sample.mask.labels())] = True
        return found[:, :classes]

    def relabelled(self, positions: NDArray[np.int64]) -> "MaskedSamples":
        """With label `positions[k]` for each k; pixels whose label becomes negative are ignored."""
        labels = None
        if self.labels is not None:
            labels = frozenset(int(positions[label]) for label in self.labels if positions[label] >= 0)
        return MaskedSamples(_Relabelled(self.items, positions), self.names, labels)

    def take(self, positions: Sequence[int]) -> "MaskedSamples":
        """The samples at these positions."""
        return MaskedSamples.of([self[position] for position in positions])

    def concatenated(self, others: Sequence["MaskedSamples"]) -> "MaskedSamples":
        """With the samples of other folders, in the order of their names: paths from the folder that holds all."""
        # Not resolved: two folders may link to the same images.
        files = [(os.path.abspath(sample.file), sample) for part in (self, *others) for sample in part if sample.file]
        base = os.path.commonpath([os.path.dirname(file) for file, _ in files] or [os.sep])
        named = [replace(sample, name=os.path.relpath(file, base)) for file, sample in files]
        return MaskedSamples.of(sorted(named, key=lambda sample: sample.name))


@dataclass(frozen=True)
class _Relabelled:
    items: Indexed[MaskedSample]
    positions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int, /) -> MaskedSample:
        sample = self.items[position]
        return replace(sample, mask=RelabelledMask(sample.mask, self.positions))

    def __iter__(self) -> Iterator[MaskedSample]:
        return (self[position] for position in range(len(self)))
