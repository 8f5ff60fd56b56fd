"""What annotation tools mark as an object, as its box and COCO's polygons or run lengths."""

import base64
import binascii
import io
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.data.findings import DataError
from tasks.data.intensity import UNREADABLE
from tasks.data.masks.polygons import object_mask, packed_runs

Box = tuple[float, float, float, float]
Points = Sequence[Sequence[float]]

_UNKNOWN = math.nan
_CORNERS = 3
_ON_AN_ELLIPSE = 72  # corners of the polygon that stands for one: off by a thousandth of its radius


class RegionError(Exception):
    """What a tool has marked cannot be taken.

    Attributes:
        check: the finding that it is.
    """

    def __init__(self, reason: str, check: str = "annotation-unreadable") -> None:
        super().__init__(reason)
        self.check = check


def nothing_enclosed(what: str) -> RegionError:
    return RegionError(f"{what} encloses nothing", "shape-no-area")


@dataclass(frozen=True)
class Region:
    """The extent of an object.

    Attributes:
        box: x_min, y_min, x_max, y_max.
        segmentation: polygons or run lengths, JSON text; none where there is only a box.
        area: in square pixels; NaN is the box's.
    """

    box: Box
    segmentation: bytes = b""
    area: float = _UNKNOWN


def box_around(points: Points) -> Region:
    """A box alone, from any of its corners; a turned one's is the box that encloses it."""
    columns, rows = _columns_and_rows(points)
    return Region((min(columns), min(rows), max(columns), max(rows)))


def polygons(parts: Sequence[Points]) -> Region:
    """One object of one or more polygons.

    Raises:
        RegionError: one has fewer than three corners.
    """
    flat = []
    for part in parts:
        if len(part) < _CORNERS:
            raise nothing_enclosed(f"a polygon of {len(part)} corners")
        columns, rows = _columns_and_rows(part)
        flat.append([value for point in zip(columns, rows, strict=True) for value in point])
    columns = [value for part in flat for value in part[::2]]
    rows = [value for part in flat for value in part[1::2]]
    area = sum(_polygon_area(part) for part in flat)
    return Region((min(columns), min(rows), max(columns), max(rows)), msgspec.json.encode(flat), area)


def with_holes(outer: Points, holes: Sequence[Points], size: tuple[int, int]) -> Region:
    """A polygon, as run lengths where it has holes.

    Args:
        size: (width, height) of the image.
    """
    region = polygons([outer])
    cut = [polygons([hole]) for hole in holes if len(hole) >= _CORNERS]
    if not cut:
        return region
    pixels = _pixels(region, size)
    for hole in cut:
        pixels &= ~_pixels(hole, size)
    if not pixels.any():
        raise nothing_enclosed("a polygon that is all hole")
    return replace(_of_pixels(pixels, (0, 0), size), box=region.box)


def union(regions: Sequence[Region], size: tuple[int, int]) -> Region:
    """One object of several regions, none of them a box alone, as run lengths.

    Args:
        size: (width, height) of the image.
    """
    pixels = np.logical_or.reduce([_pixels(region, size) for region in regions])
    if not pixels.any():
        raise nothing_enclosed("a shape between pixels")
    return _of_pixels(pixels, (0, 0), size)


def ellipse(center: Sequence[float], radii: tuple[float, float], degrees: float = 0.0) -> list[list[float]]:
    """The corners of a polygon for one; `degrees` turn it clockwise."""
    x, y = center
    angles = np.linspace(0, 2 * np.pi, _ON_AN_ELLIPSE, endpoint=False)
    points = np.stack([x + radii[0] * np.cos(angles), y + radii[1] * np.sin(angles)], axis=1)
    return turned(points.tolist(), degrees, (x, y))


def turned(points: Points, degrees: float, around: tuple[float, float]) -> list[list[float]]:
    """Points turned clockwise, as seen with y downwards."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x0, y0 = around
    return [[x0 + (x - x0) * cos - (y - y0) * sin, y0 + (x - x0) * sin + (y - y0) * cos] for x, y in map(tuple, points)]


def corners(box: Box) -> list[list[float]]:
    """Of a box, clockwise from the upper left."""
    x_min, y_min, x_max, y_max = box
    return [[x_min, y_min], [x_max, y_min], [x_max, y_max], [x_min, y_max]]


def bitmap(pixels: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int]) -> Region:
    """A mask that covers a part of the image; what reaches outside is left out.

    Args:
        pixels: (h, w).
        corner: (x, y) of its upper left pixel in the image.
        size: (width, height) of the image.

    Raises:
        RegionError: it has no pixel in the image.
    """
    x, y = corner
    inside = pixels[max(-y, 0) : max(size[1] - y, 0), max(-x, 0) : max(size[0] - x, 0)]
    if not inside.any():
        raise nothing_enclosed("a mask without a pixel in the image")
    return _of_pixels(inside, (max(x, 0), max(y, 0)), size)


def _pixels(region: Region, size: tuple[int, int]) -> NDArray[np.bool_]:
    try:
        return object_mask(region.segmentation, size, "the shape")
    except DataError as error:
        raise RegionError(str(error)) from None


def _of_pixels(pixels: NDArray[np.bool_], corner: tuple[int, int], size: tuple[int, int]) -> Region:
    columns, rows = np.nonzero(pixels.T)
    columns, rows = columns + corner[0], rows + corner[1]
    runs = packed_runs(columns.astype(np.int64) * size[1] + rows, size)
    box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    return Region(box, msgspec.json.encode({"size": [size[1], size[0]], "counts": runs}), float(len(rows)))


def unpacked(text: str) -> NDArray[np.bool_]:
    """The pixels of a PNG in base64, itself perhaps compressed, as LabelMe and Supervisely write them: those that
    are not transparent, or not black.

    Raises:
        RegionError: it is none.
    """
    try:
        data = base64.b64decode(text, validate=True)
        with Image.open(io.BytesIO(_inflated(data))) as image:
            if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
                return np.asarray(image.convert("RGBA"))[:, :, 3] > 0
            return np.asarray(image.convert("L") if image.mode not in ("1", "L") else image) > 0
    except (binascii.Error, zlib.error, *UNREADABLE) as error:
        raise RegionError(f"a mask that is no PNG in base64 ({error})") from None


def _inflated(data: bytes) -> bytes:
    return data if data.startswith(b"\x89PNG") else zlib.decompress(data)


def _columns_and_rows(points: Points) -> tuple[list[float], list[float]]:
    try:
        columns, rows = [float(point[0]) for point in points], [float(point[1]) for point in points]
    except (IndexError, KeyError, TypeError, ValueError):
        raise RegionError("its corners are no pairs of numbers") from None
    if not columns:
        raise nothing_enclosed("a shape without corners")
    if not all(map(math.isfinite, columns + rows)):
        raise RegionError("its corners are no numbers")
    return columns, rows


def _polygon_area(flat: Sequence[float]) -> float:
    x, y = np.asarray(flat[::2]), np.asarray(flat[1::2])
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)
