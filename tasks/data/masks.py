"""Masks: label pictures in, labels of the class map out."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tasks.data.faults import DataError, Fault
from tasks.data.samples import Indexed, Rendered, read_source

IGNORE = 255  # the label of pixels that count nowhere

Labels = NDArray[np.uint8]


class Masked(Protocol):
    """Gives the labels of a picture's pixels."""

    def labels(self) -> Labels: ...


@dataclass(frozen=True)
class MaskedSample:
    """A picture with its mask.

    Attributes:
        name: the picture's file name within its split.
        source: the file, or what draws the picture.
        mask: gives uint8 (H, W): positions in the data set's classes, or `IGNORE`.
    """

    name: str
    source: Path | Rendered
    mask: Masked

    @property
    def file(self) -> Path | None:
        """Of the picture, unless it is made."""
        return self.source if isinstance(self.source, Path) else None

    def read(self) -> NDArray[np.uint8]:
        """The picture as uint8 RGB (H, W, 3)."""
        return read_source(self.source)


@dataclass(frozen=True)
class MaskedSamples:
    """The samples of a split.

    Attributes:
        items: in the order of their names.
        names: of the pictures.
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

    def present(self) -> set[int]:
        """The labels that occur."""
        if self.labels is not None:
            return set(self.labels)
        return {int(label) for sample in self for label in np.unique(sample.mask.labels()) if label != IGNORE}

    def shown(self, classes: int) -> NDArray[np.bool_]:
        """(pictures, classes): which label occurs on which picture; every mask is read."""
        found = np.zeros((len(self), IGNORE + 1), np.bool_)
        for row, sample in zip(found, self, strict=True):
            row[np.unique(sample.mask.labels())] = True
        return found[:, :classes]

    def relabelled(self, positions: NDArray[np.int64]) -> "MaskedSamples":
        """With label `positions[k]` for each k."""
        labels = None if self.labels is None else frozenset(int(positions[label]) for label in self.labels)
        return MaskedSamples(_Relabelled(self.items, positions), self.names, labels)

    def take(self, positions: Sequence[int]) -> "MaskedSamples":
        """The samples at these positions."""
        return MaskedSamples.of([self[position] for position in positions])


def joined_masks(parts: Sequence[MaskedSamples]) -> MaskedSamples:
    """The samples of several folders, named by their paths from the one that holds all."""
    # Not resolved: two folders may link to the same pictures.
    files = [(os.path.abspath(sample.file), sample) for part in parts for sample in part if sample.file]
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


@dataclass(frozen=True)
class RelabelledMask:
    mask: Masked
    positions: NDArray[np.int64]

    def labels(self) -> Labels:
        table = np.full(256, IGNORE, np.uint8)
        table[: len(self.positions)] = self.positions
        return table[self.mask.labels()]


@dataclass(frozen=True)
class ClassMap:
    """Which values of a mask mean which class.

    Attributes:
        names: the classes, without what is ignored.
        values: the mask's value of each.
        ignored: values that count nowhere.
        colours: (r, g, b) to value, for colour-coded masks; empty where masks hold values.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    ignored: frozenset[int] = frozenset()
    colours: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def labels(self, values: NDArray[np.integer], where: Path) -> Labels:
        """Values of a mask (H, W) as positions in `names`, or `IGNORE`.

        Raises:
            InputError: a value is neither a class's nor ignored.
        """
        table = np.full(65536, -1, np.int16)
        table[list(self.values)] = np.arange(len(self.values))
        table[list(self.ignored)] = IGNORE
        labels = table[values]
        if (labels < 0).any():
            stray, counts = np.unique(values[labels < 0], return_counts=True)
            known = f"{min(self.values)}..{max(self.values)}" if len(self.values) > 1 else str(self.values[0])
            line = (
                f"{where}: {counts[0]} pixels have the value {stray[0]}, which is no class (classes have {known}"
                f"{', ignored are ' + ', '.join(map(str, sorted(self.ignored))) if self.ignored else ''}); "
                f"correct the mask, or name the class in classes.txt"
            )
            raise DataError(Fault("mask-stray", line))
        return labels.astype(np.uint8)


@dataclass(frozen=True)
class MaskFile:
    """A mask in a picture file."""

    path: Path
    classes: ClassMap

    def labels(self) -> Labels:
        return self.classes.labels(read_values(self.path, self.classes.colours), self.path)


def read_values(path: Path, colours: dict[tuple[int, int, int], int]) -> NDArray[np.uint16]:
    """The values of a mask file (H, W): grey levels, palette positions, or those of its colours.

    Raises:
        InputError: missing, unreadable, or in colours without a table of them.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode in ("L", "P", "1") or image.mode.startswith("I"):
                return np.asarray(image).astype(np.uint16)
            pixels = np.asarray(image.convert("RGB")).astype(np.uint32)
    except FileNotFoundError:
        line = f"{path}: the mask is missing; restore it or remove its picture"
        raise DataError(Fault("mask-missing", line)) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        line = f"{path}: not a readable mask ({' '.join(str(error).split())}); replace it"
        raise DataError(Fault("mask-unreadable", line)) from None
    if not colours:
        if (pixels == pixels[..., :1]).all():
            return pixels[..., 0].astype(np.uint16)  # grey, saved in three equal channels
        line = (
            f"{path}: the mask is in colours; name them in classes.txt beside the folders, a line a class: name r g b"
        )
        raise DataError(Fault("mask-stray", line))
    packed = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    found, inverse = np.unique(packed, return_inverse=True)
    values = np.zeros(len(found), np.uint16)
    for position, code in enumerate(found):
        colour = (int(code) >> 16, int(code) >> 8 & 255, int(code) & 255)
        if colour not in colours:
            count = int((inverse == position).sum())
            line = f"{path}: {count} pixels have the colour {colour}, which classes.txt does not name"
            raise DataError(Fault("mask-stray", line))
        values[position] = colours[colour]
    return values[inverse].reshape(packed.shape)
