"""Mask files in, labels of the class map out."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tasks.data.findings import DataError, Finding
from tasks.data.intensity import UNREADABLE
from tasks.data.masks.labels import IGNORE, Labels

_LARGEST = 65535
_BORDER = 255  # of objects in Pascal VOC's palettes, which belongs to none


@dataclass(frozen=True)
class MaskReading:
    """How the values of a mask are read.

    Attributes:
        colours: (r, g, b) to value, for masks in colours; empty where masks hold values.
        white: the value of white in a mask of 1 bit.
        threshold: grey levels from here on are 1, all others 0.
    """

    colours: dict[tuple[int, int, int], int] = field(default_factory=dict)
    white: int = 1
    threshold: int | None = None

    @property
    def is_grey(self) -> bool:
        """Whether there are colours, all of them grey."""
        return bool(self.colours) and all(len(set(colour)) == 1 for colour in self.colours)


@dataclass(frozen=True)
class ClassMap:
    """Which values of a mask mean which class.

    Attributes:
        names: the classes, without what is ignored.
        values: the mask's value of each.
        ignored: values that count nowhere.
        reading: how masks come to their values.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    ignored: frozenset[int] = frozenset()
    reading: MaskReading = field(default_factory=MaskReading)

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
                f"correct the mask, name the class in classes.txt, or make two classes by data.mask_threshold"
            )
            raise DataError(Finding("mask-stray", line))
        return labels.astype(np.uint8)


@dataclass(frozen=True)
class MaskFile:
    """A mask in an image file."""

    path: Path
    classes: ClassMap

    def labels(self) -> Labels:
        return self.classes.labels(read_values(self.path, self.classes.reading), self.path)

    def content(self) -> bytes:
        return str(self.path.stat().st_size).encode()


def read_numbers(path: Path) -> NDArray[np.int64]:
    """The numbers of a mask of objects (H, W): grey levels, palette positions, or colours as numbers; 0 is none.

    Raises:
        InputError: missing or unreadable.
    """
    image = _opened(path)
    if image.mode == "P":
        positions = np.asarray(image).astype(np.int64)
        return np.where(positions == _BORDER, 0, positions)
    if image.mode in ("L", "1") or image.mode.startswith(("I", "F")):
        return np.asarray(image).astype(np.int64)
    pixels = np.asarray(image.convert("RGB")).astype(np.int64)
    if (pixels == pixels[..., :1]).all():
        return pixels[..., 0]
    return pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            image.load()
            # A GIF has nothing but palettes, in any order: where they are grey its values are what they say.
            colours = np.asarray(image.convert("RGB")) if file.format == "GIF" else None
            grey = colours is not None and bool((colours == colours[..., :1]).all())
            return image.convert("L") if grey else image
    except FileNotFoundError:
        line = f"{path}: the mask is missing; restore it or remove its image"
        raise DataError(Finding("mask-missing", line)) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        line = f"{path}: not a readable mask ({' '.join(str(error).split())}); replace it"
        raise DataError(Finding("mask-unreadable", line)) from None


def is_one_bit(path: Path) -> bool:
    """Whether a mask is of black and white alone, by its header; one that cannot be read is not."""
    try:
        with Image.open(path) as file:
            return file.mode == "1"
    except UNREADABLE:
        return False


def read_values(path: Path, reading: MaskReading) -> NDArray[np.uint16]:
    """The values of a mask file (H, W): grey levels, palette positions, or those of its colours.

    Raises:
        InputError: missing, unreadable, in colours without a table of them, or of values that are no classes.
    """
    image = _opened(path)
    if reading.threshold is not None:
        return (_whole_numbers(path, image.convert("L")) >= reading.threshold).astype(np.uint16)
    if image.mode == "1":
        return np.where(np.asarray(image), np.uint16(reading.white), np.uint16(0))
    # A palette is looked up where the colours have a meaning, and so are grey levels where all of them are grey.
    has_meaning = (image.mode == "P" and reading.colours) or (image.mode == "L" and reading.is_grey)
    if not (image.mode in ("L", "P") or image.mode.startswith(("I", "F"))) or has_meaning:
        return _of_colours(path, np.asarray(image.convert("RGB")).astype(np.uint32), reading.colours)
    return _whole_numbers(path, image)


def _whole_numbers(path: Path, image: Image.Image) -> NDArray[np.uint16]:
    values = np.asarray(image)
    wrong = ~((values >= 0) & (values <= _LARGEST)) | (values != np.trunc(values))  # NaN is none of these
    if values.dtype not in (np.uint8, np.uint16) and wrong.any():
        line = f"{path}: {int(wrong.sum())} pixels have the value {values[wrong][0]:g}, which is no class"
        raise DataError(Finding("mask-stray", f"{line}: classes are whole numbers from 0 to {_LARGEST}"))
    return values.astype(np.uint16)


def _of_colours(path: Path, pixels: NDArray[np.uint32], colours: dict[tuple[int, int, int], int]) -> NDArray[np.uint16]:
    if not colours:
        if (pixels == pixels[..., :1]).all():
            return pixels[..., 0].astype(np.uint16)  # grey, saved in three equal channels
        line = (
            f"{path}: the mask is in colours; name them in classes.txt beside the folders, a line a class: name r g b"
        )
        raise DataError(Finding("mask-stray", line))
    packed = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    found, inverse = np.unique(packed, return_inverse=True)
    values = np.zeros(len(found), np.uint16)
    for position, code in enumerate(found):
        colour = (int(code) >> 16, int(code) >> 8 & 255, int(code) & 255)
        if colour not in colours:
            count = int((inverse == position).sum())
            line = f"{path}: {count} pixels have the colour {colour}, which classes.txt does not name"
            raise DataError(Finding("mask-stray", line))
        values[position] = colours[colour]
    return values[inverse].reshape(packed.shape)
