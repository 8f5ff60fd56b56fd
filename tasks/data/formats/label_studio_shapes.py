"""The shapes of Label Studio, which are in percent of their images."""

from collections.abc import Mapping
from typing import Any

from tasks.data.formats.label_studio_brush import brush_pixels
from tasks.data.masks.regions import (
    Region,
    RegionError,
    bitmap,
    box_around,
    corners,
    ellipse,
    nothing_enclosed,
    polygons,
    turned,
    unpacked,
)

_PERCENT = 100.0


def image_size(shape: Mapping[str, Any]) -> tuple[int, int]:
    """Of the image, as a shape says.

    Raises:
        RegionError: it does not, or the image was turned.
    """
    width, height = shape.get("original_width"), shape.get("original_height")
    if not (isinstance(width, int | float) and isinstance(height, int | float) and min(width, height) > 0):
        raise RegionError("it has no original_width and original_height")
    if shape.get("image_rotation"):
        raise RegionError(f"the image was turned by {shape['image_rotation']} degrees to annotate it: turn the file so")
    return int(width), int(height)


def region_of(shape: Mapping[str, Any], size: tuple[int, int]) -> Region:
    """What a shape encloses.

    Raises:
        RegionError: nothing, or it cannot be read.
    """
    width, height = size[0] / _PERCENT, size[1] / _PERCENT
    if "rle" in shape:
        return bitmap(brush_pixels(shape["rle"], size), (0, 0), size)
    if "imageDataURL" in shape:
        return bitmap(unpacked(str(shape["imageDataURL"]).partition("base64,")[2]), (0, 0), size)
    if "points" in shape:
        points = shape["points"]
        try:
            return polygons([[(x * width, y * height) for x, y in points]])
        except (TypeError, ValueError):
            raise RegionError("its corners are no pairs of numbers") from None
    degrees = _number(shape, "rotation") if shape.get("rotation") else 0.0
    x, y = _number(shape, "x") * width, _number(shape, "y") * height
    if "radiusX" in shape:
        radii = (_number(shape, "radiusX") * width, _number(shape, "radiusY") * height)
        return polygons([ellipse((x, y), radii, degrees)])
    if "height" not in shape or "keypointlabels" in shape:
        raise nothing_enclosed("a point, or a line")
    box = (x, y, x + _number(shape, "width") * width, y + _number(shape, "height") * height)
    return box_around(turned(corners(box), degrees, (x, y))) if degrees else Region(box)


def _number(shape: Mapping[str, Any], name: str) -> float:
    value = shape.get(name)
    if not isinstance(value, int | float):
        raise RegionError(f"{name} is {value!r}, not a number")
    return float(value)
