"""One Pascal VOC annotation: the XML file of an image."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject
from tasks.data.findings import DataError, Finding, Place
from tasks.data.folders.texts import read_xml
from tasks.data.images import Size
from tasks.data.masks.regions import Box, Region


def read_voc_xml(path: Path, image: Path, one_based: bool) -> AnnotatedImage:
    """Args:
        one_based: coordinates count from 1 and include the last pixel.

    Raises:
        DataError: the file is missing, or not of this kind.
    """
    first = 1.0 if one_based else 0.0
    objects = []
    try:
        root = read_xml(path)
        size = _size(root)
        for number, item in enumerate(root.iter("object")):
            name = _text(item, "name")
            x_min, y_min, x_max, y_max = _box(item)
            place = Place(f"{path}: object {number + 1} ({name})", path, number)
            objects.append(AnnotatedObject(name, Region((x_min - first, y_min - first, x_max, y_max)), place))
    except FileNotFoundError:
        line = f"{path}: missing; {image.name} has no annotation"
        raise DataError(Finding("annotation-unreadable", line, image)) from None
    except (ElementTree.ParseError, LookupError, OSError, ValueError) as error:
        line = f"{path}: not a readable Pascal VOC annotation: {error}"
        raise DataError(Finding("annotation-unreadable", line, image)) from None
    return AnnotatedImage(image, path, objects, size)


def _size(root: ElementTree.Element) -> Size | None:
    """(width, height) as the file gives them; some tools leave them out, or write nothing, 0 or -1."""
    width, height = (root.findtext(f"size/{name}") for name in ("width", "height"))
    if not (width and width.strip() and height and height.strip()):
        return None
    size = _number(root, "size/width"), _number(root, "size/height")
    return size if min(size) > 0 else None


def _box(item: ElementTree.Element) -> Box:
    if item.find("bndbox") is None and (polygon := item.find("polygon")) is not None:
        points = list(polygon.iter())
        across = [float(point.text or "") for point in points if re.fullmatch(r"x\d*", point.tag)]
        down = [float(point.text or "") for point in points if re.fullmatch(r"y\d*", point.tag)]
        return min(across), min(down), max(across), max(down)
    x_min, y_min, x_max, y_max = (_number(item, f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax"))
    return x_min, y_min, x_max, y_max


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None or not text.strip():
        raise ValueError(f"<{element.tag}> has no {path}")
    return text.strip()


def _number(element: ElementTree.Element, path: str) -> float:
    text = _text(element, path)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{path} is {text!r}, not a number") from None
