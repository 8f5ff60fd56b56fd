"""Images with a class each."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.dataset.sample import Renderable, read_source
from tasks.data.findings import DataError, Finding
from tasks.data.reading import AS_RGB, Reading


@dataclass(frozen=True)
class LabelledSample:
    """An image with its class.

    Attributes:
        name: the image's file name within its split.
        source: the file, or what renders the image.
        label: a position in the data set's classes.
    """

    name: str
    source: Path | Renderable
    label: int

    @property
    def file(self) -> Path | None:
        """Of the image, unless it is rendered."""
        return self.source if isinstance(self.source, Path) else None

    def content(self) -> bytes:
        """What is annotated; another annotation is other bytes."""
        return str(self.label).encode()

    def read(self, reading: Reading = AS_RGB) -> NDArray[np.uint8]:
        """The image as uint8 (H, W, C), RGB where nothing else is asked for."""
        return read_source(self.source, reading)


@dataclass(frozen=True)
class StoredImage:
    """An image of a file that holds many.

    Attributes:
        images: uint8 (N, H, W) grey or (N, H, W, 3) RGB.
        position: which of them.
    """

    images: NDArray[np.uint8]
    position: int

    def render(self) -> NDArray[np.uint8]:
        """uint8 (H, W) or (H, W, 3)."""
        return self.images[self.position]


def broken(line: str) -> DataError:
    """What to raise of a file of images or labels that is not as it should be."""
    return DataError(Finding("annotation-unreadable", line))


def stored(images: NDArray[np.uint8], labels: NDArray[np.int64], prefix: str) -> "LabelledSamples":
    """The images of a file that holds many: prefix-00000, prefix-00001, ..."""
    names = [f"{prefix}-{number:05d}" for number in range(len(images))]
    return LabelledSamples(names, [StoredImage(images, number) for number in range(len(images))], labels)


@dataclass(frozen=True)
class LabelledSamples:
    """The samples of a split.

    Attributes:
        names: of the images, in order.
        images: the folder that the names start from, or the source of each image.
        labels: (N,) int64, positions in the data set's classes.
    """

    names: Sequence[str]
    images: Path | Sequence[Path | Renderable]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int, /) -> LabelledSample:
        name, images = self.names[position], self.images
        source = images / name if isinstance(images, Path) else images[position]
        return LabelledSample(name, source, int(self.labels[position]))

    def __iter__(self) -> Iterator[LabelledSample]:
        return (self[position] for position in range(len(self)))

    def label_set(self) -> set[int]:
        """The labels that occur."""
        return set(np.unique(self.labels).tolist())

    def class_presence(self, classes: int) -> NDArray[np.bool_]:
        """(images, classes): which label each image has."""
        return self.labels[:, None] == np.arange(classes)

    def relabelled(self, positions: NDArray[np.int64]) -> "LabelledSamples":
        """With label `positions[k]` for each k; images whose label becomes negative are left out."""
        labels = positions[self.labels] if len(self) else self.labels
        kept = LabelledSamples(self.names, self.images, labels)
        return kept if (labels >= 0).all() else kept.take(np.flatnonzero(labels >= 0).tolist())

    def take(self, positions: Sequence[int]) -> "LabelledSamples":
        """The samples at these positions."""
        images = self.images if isinstance(self.images, Path) else [self.images[position] for position in positions]
        return LabelledSamples([self.names[position] for position in positions], images, self.labels[list(positions)])

    def concatenated(self, others: Sequence["LabelledSamples"]) -> "LabelledSamples":
        """With the samples of other folders, in the order of their names: paths from the folder that holds all. Where
        images are no files of their own, in the order of the folders."""
        parts = (self, *others)
        samples = [sample for part in parts for sample in part]
        labels = np.array([sample.label for sample in samples], np.int64)
        if any(sample.file is None for sample in samples):
            names = [f"{number}/{name}" for number, part in enumerate(parts) for name in part.names]
            return LabelledSamples(names, [sample.source for sample in samples], labels)
        # Not resolved: two folders may link to the same images.
        files = [os.path.abspath(sample.file) for sample in samples if sample.file is not None]
        base = os.path.commonpath([os.path.dirname(file) for file in files] or [os.sep])
        names = [os.path.relpath(file, base) for file in files]
        order = sorted(range(len(names)), key=names.__getitem__)
        return LabelledSamples([names[position] for position in order], Path(base), labels[order])
