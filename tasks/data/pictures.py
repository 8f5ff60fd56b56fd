"""Picture files in, uint8 RGB out, by one policy.

EXIF orientation is applied. Grey becomes three equal channels, palettes are looked up, an alpha channel
is dropped, 16-bit grey keeps its upper eight bits.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tasks.data.faults import DataError, Fault, Faults

# What a whole file of the kind ends with; cameras and web servers may append something behind it.
_ENDINGS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_TAIL_BYTES = 64 * 1024
_MOST_OPENED = 5000
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
# What Pillow raises where a file is no picture, a broken one, or absurdly large.
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
# EXIF: orientations 5 to 8 lie on their side.
_ORIENTATION, _FIRST_ON_SIDE = 0x0112, 5


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture as uint8 RGB (H, W, 3).

    Raises:
        InputError: the file is missing, cut short, or no picture.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):
                deep = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)
                return np.repeat((deep >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
            return np.array(image.convert("RGB"))
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels as `read_picture` gives them, without decoding the picture.

    Raises:
        InputError: the file is missing or no picture.
    """
    return _header(path)[0]


def _header(path: Path) -> tuple[tuple[int, int], str]:
    """The size as `picture_size` gives it, and Pillow's name of the format."""
    try:
        with Image.open(path) as file:
            on_its_side = _orientation(file) >= _FIRST_ON_SIDE
            size = (file.height, file.width) if on_its_side else (file.width, file.height)
            return size, file.format or ""
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def is_turned(image: Image.Image) -> bool:
    """Whether its EXIF orientation says that it is to be turned or mirrored."""
    return _orientation(image) > 1


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) else 1  # cameras write anything


def check_size(path: Path, size: tuple[float, float], told: tuple[float, float]) -> None:
    """Raise where a picture is not of the size that its annotation tells: its boxes would be off.

    Args:
        size, told: (width, height) in pixels, EXIF orientation applied.
    """
    if size != told:
        message = (
            f"{path}: is {size[0]:g}x{size[1]:g} pixels (turned as its EXIF orientation says), its annotation says "
            f"{told[0]:g}x{told[1]:g}; annotate the picture as it is"
        )
        raise DataError(Fault("picture-size", message, path))


def check_pictures(
    folder: Path, names: Sequence[str], sizes: Sequence[tuple[float, float]], faults: Faults | None = None
) -> None:
    """Find, without decoding them, pictures that are missing, cut short, or not of the size that is told.

    Of more than 5,000 pictures only the missing are looked for, since opening each takes minutes; the others are
    found when they are read.

    Raises:
        InputError: there is one, and `faults` does not keep them.
    """
    faults = faults or Faults()
    if len(names) <= _MOST_OPENED:
        for name, told in zip(names, sizes, strict=True):
            with faults.skipping():
                _check_whole(folder / name, told)
        return
    listed: dict[str, set[str]] = {}
    for name in names:
        parent, _, file = name.rpartition("/")
        if parent not in listed:
            listed[parent] = set(os.listdir(folder / parent)) if (folder / parent).is_dir() else set()
        if file not in listed[parent]:
            with faults.skipping():
                raise _unreadable(folder / name, FileNotFoundError())


def _check_whole(path: Path, told: tuple[float, float]) -> None:
    size, kind = _header(path)
    check_size(path, size, told)
    ending = _ENDINGS.get(kind)
    with path.open("rb") as raw:
        raw.seek(max(0, raw.seek(0, 2) - _TAIL_BYTES))
        whole = ending is None or ending in raw.read()
    if not whole:
        read_picture(path)  # its end may lie before a long appendix


def _unreadable(path: Path, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        message = f"{path}: the picture is missing; restore it or remove its annotation"
        return DataError(Fault("picture-missing", message, path))
    reason = " ".join(str(error).split())
    message = f"{path}: not a readable picture ({reason}); replace it or remove its annotation"
    return DataError(Fault("picture-truncated" if "truncated" in reason else "picture-unreadable", message, path))
