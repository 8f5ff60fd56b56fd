"""Image files in, uint8 RGB out, by one policy.

EXIF orientation is applied. Grey becomes three equal channels, palettes are looked up, an alpha channel
is dropped, deeper grey becomes 8 bits as data.intensity says.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tasks.data.findings import DataError, Finding, Findings
from tasks.data.intensity import UNREADABLE
from tasks.data.reading import AS_RGB, TIFF, ChannelError, Reading, read_bands, size_of_bands

# What a whole file of the kind ends with; cameras and web servers may append something behind it.
_ENDINGS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_TAIL_BYTES = 64 * 1024
_MOST_OPENED = 5000
Size = tuple[float, float]
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm"}
)
# EXIF: orientations 2 to 8 are turned or mirrored, from 5 on they lie on their side; all else is none.
_ORIENTATION, _TURNED, _ON_SIDE = 0x0112, range(2, 9), range(5, 9)


def read_image(path: Path, reading: Reading = AS_RGB) -> NDArray[np.uint8]:
    """The image as uint8 (H, W, C), RGB where nothing else is asked for.

    Raises:
        InputError: the file is missing, cut short, or no image.
    """
    try:
        return _pixels(path, reading)
    except ChannelError as error:
        line = f"{path}: {error}; data for another --backbone.in-channels?"
        raise DataError(Finding("image-channels", line, path)) from None
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _pixels(path: Path, reading: Reading) -> NDArray[np.uint8]:
    """By Pillow, except for the bands of TIFF files; each reads some of those that the other does not."""
    if reading.takes_bands(path):
        with suppress(OSError, ValueError):  # compressed
            return reading.of_bands(read_bands(path))
    try:
        with Image.open(path) as file:
            return reading.of_image(ImageOps.exif_transpose(file))
    except UNREADABLE:
        if path.suffix.lower() not in TIFF or not path.is_file():
            raise
        return reading.of_bands(read_bands(path))  # three of 16 bits, say; or the reason why it cannot be read


def read_image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels as `read_image` gives them, without decoding the image.

    Raises:
        InputError: the file is missing or no image.
    """
    return _header(path)[0]


def _header(path: Path) -> tuple[tuple[int, int], str]:
    """The size as `read_image_size` gives it, and Pillow's name of the format."""
    try:
        with Image.open(path) as file:
            on_its_side = _orientation(file) in _ON_SIDE
            size = (file.height, file.width) if on_its_side else (file.width, file.height)
            return size, file.format or ""
    except UNREADABLE as error:
        if path.suffix.lower() in TIFF and path.is_file():
            with suppress(OSError, ValueError):  # of bands that Pillow does not know
                return size_of_bands(path), "TIFF"
        raise _unreadable(path, error) from error


def is_turned(image: Image.Image) -> bool:
    """Whether its EXIF orientation says that it is to be turned or mirrored."""
    return _orientation(image) in _TURNED


def _orientation(image: Image.Image) -> int:
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) else 1  # cameras write anything


def check_size(path: Path, size: Size, annotated: Size) -> None:
    """Raise where an image is not of the size that its annotation gives: its boxes would be off.

    Args:
        size, annotated: (width, height) in pixels, EXIF orientation applied.
    """
    if size != annotated:
        message = (
            f"{path}: is {size[0]:g}x{size[1]:g} pixels (turned as its EXIF orientation says), its annotation says "
            f"{annotated[0]:g}x{annotated[1]:g}; annotate the image as it is"
        )
        raise DataError(Finding("image-size", message, path))


def image_sizes(
    folder: Path, names: Sequence[str], annotated: Sequence[Size | None], findings: Findings | None = None
) -> list[Size | None]:
    """The sizes of images, where they are not annotated from the files. Each file is opened once, none is decoded.

    Images that are missing, cut short, or not of the annotated size are found. Of more than 5,000 images only the
    missing are looked for where the sizes are annotated, since opening each takes minutes; the others are found when
    they are read.

    Args:
        annotated: (width, height) of each, or None.

    Returns:
        (width, height) of each in pixels, as `read_image` gives them; None where nobody knows.

    Raises:
        InputError: there is such an image, and `findings` does not keep them.
    """
    findings = findings or Findings()
    sizes = list(annotated)
    listed: dict[str, set[str]] = {}
    thorough = len(names) <= _MOST_OPENED
    for position, (name, size) in enumerate(zip(names, annotated, strict=True)):
        if size is not None and not thorough and _is_listed(folder, name, listed):
            continue
        with findings.skipping():
            sizes[position] = _check_whole(folder / name, size) if thorough else read_image_size(folder / name)
    return sizes


def whole_images(folder: Path, names: Sequence[str], findings: Findings) -> list[str]:
    """Those that are not missing, cut short or something else; of more than 5,000 none is opened, since that takes
    minutes: they are found when they are read.

    Raises:
        InputError: one is not, and `findings` does not keep such.
    """
    if len(names) > _MOST_OPENED:
        return list(names)
    sizes = image_sizes(folder, names, [None] * len(names), findings)
    return [name for name, size in zip(names, sizes, strict=True) if size is not None]


def _is_listed(folder: Path, name: str, listed: dict[str, set[str]]) -> bool:
    parent, _, file = name.rpartition("/")
    if parent not in listed:
        listed[parent] = set(os.listdir(folder / parent)) if (folder / parent).is_dir() else set()
    return file in listed[parent]


def _check_whole(path: Path, annotated: Size | None) -> Size:
    size, kind = _header(path)
    if annotated is not None:
        check_size(path, size, annotated)
    ending = _ENDINGS.get(kind)
    with path.open("rb") as raw:
        raw.seek(max(0, raw.seek(0, 2) - _TAIL_BYTES))
        whole = ending is None or ending in raw.read()
    if not whole:
        read_image(path)  # its end may lie before a long appendix
    return size


def _unreadable(path: Path, error: Exception) -> DataError:
    if isinstance(error, FileNotFoundError):
        message = f"{path}: the image is missing; restore it or remove its annotation"
        return DataError(Finding("image-missing", message, path))
    reason = " ".join(str(error).split())
    message = f"{path}: not a readable image ({reason}); replace it or remove its annotation"
    return DataError(Finding("image-truncated" if "truncated" in reason else "image-unreadable", message, path))
