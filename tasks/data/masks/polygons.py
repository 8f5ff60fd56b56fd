"""Polygons and run lengths of objects, as COCO writes them, into masks."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from tasks.data.findings import DataError, Finding

_LEAST_COORDINATES = 6  # three corners; pycocotools takes four numbers for a box
_FARTHEST = 4  # sides of the image from its corner that a polygon may reach
_FIRST_CHARACTER = 48


def object_mask(segmentation: bytes, size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """The pixels of an object.

    Args:
        segmentation: JSON text: polygons [[x, y, x, y, ...], ...], or a run-length encoding {"size", "counts"} with
            its counts as a list or in COCO's compressed form. Empty: no pixel.
        size: (width, height) of the image.
        where: what messages call the object.

    Returns:
        (height, width).

    Raises:
        InputError: it is none of these, or of another size than the image.
    """
    width, height = size
    empty = np.zeros((height, width), np.bool_)
    try:
        content: Any = msgspec.json.decode(segmentation) if segmentation else None
        if not content:
            return empty
        if isinstance(content, dict):
            return coco_mask.decode(_packed(content, size)).astype(np.bool_)
        if not isinstance(content, list):
            raise TypeError(f"a {type(content).__name__}")
        polygons = [_polygon(polygon, size) for polygon in content if len(polygon) >= _LEAST_COORDINATES]
        if not polygons:
            return empty
        return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))).astype(np.bool_)
    except (msgspec.DecodeError, IndexError, KeyError, TypeError, ValueError) as error:
        line = f"{where}: not a segmentation ({error}); wanted are polygons or a run-length encoding"
        raise DataError(Finding("polygon-broken", line)) from None


def extent(segmentation: bytes) -> tuple[float, float, float, float] | None:
    """The box (x_min, y_min, x_max, y_max) around polygons or a run-length encoding in JSON text; None for nothing."""
    content: Any = msgspec.json.decode(segmentation) if segmentation else None
    if isinstance(content, dict):
        height, width = content["size"]
        x, y, across, down = coco_mask.toBbox(_packed(content, (width, height))).tolist()
        return x, y, x + across, y + down
    corners = [value for polygon in content or [] for value in polygon]
    if not corners:
        return None
    return min(corners[::2]), min(corners[1::2]), max(corners[::2]), max(corners[1::2])


def packed_runs(pixels: NDArray[np.int64], size: tuple[int, int]) -> str:
    """COCO's compressed run lengths of some pixels.

    Args:
        pixels: (n,) their numbers, counted down the first column, then the next; in order, none twice.
        size: (width, height) of the image.
    """
    width, height = size
    breaks = np.flatnonzero(np.diff(pixels) > 1)
    starts, ends = np.append(pixels[:1], pixels[breaks + 1]), np.append(pixels[breaks], pixels[-1:]) + 1
    edges = np.stack([starts, ends], axis=1).reshape(-1)
    counts = np.diff(edges, prepend=0, append=width * height)
    counts = counts[:-1] if counts[-1] == 0 else counts
    text: bytes = coco_mask.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)["counts"]
    return text.decode()


# pycocotools takes whatever it is given: numbers beyond all bounds for memory, missing runs for what memory holds.


def _polygon(values: Any, size: tuple[int, int]) -> list[float]:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or len(numbers) % 2:
        raise ValueError("a polygon is x, y, x, y, ...")
    if not (np.abs(numbers) <= _FARTHEST * max(size)).all():  # which NaN is not either
        raise ValueError("a polygon with coordinates that are no numbers or far outside the image")
    return list(values)


def _packed(content: dict[str, Any], size: tuple[int, int]) -> Any:
    width, height = size
    if list(content["size"]) != [height, width]:
        raise ValueError(f"the mask is of {content['size']} pixels, the image of {[height, width]}")
    counts = content["counts"]
    runs = counts if isinstance(counts, list) else _run_lengths(counts.encode() if isinstance(counts, str) else counts)
    if min(runs, default=0) < 0 or sum(runs) != width * height:
        raise ValueError(f"runs of {sum(runs)} pixels for an image of {width * height}")
    return coco_mask.frPyObjects(content, height, width) if isinstance(counts, list) else content


def _run_lengths(text: bytes) -> list[int]:
    """COCO's compressed counts: five bits a character, from the third on the difference to the last but one."""
    runs: list[int] = []
    position = 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            bits = text[position] - _FIRST_CHARACTER
            position += 1
            value |= (bits & 0x1F) << shift
            shift += 5
            more = bool(bits & 0x20)
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs
