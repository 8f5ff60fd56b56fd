"""One Pascal VOC annotation: the XML file of an image."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject
from tasks.data.findings import DataError, Finding, Place
from tasks.data.folders.texts import read_xml
from tasks.data.images import Size
from tasks.data.masks.regions import Region


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
            x_min, y_min = _number(item, "bndbox/xmin") - first, _number(item, "bndbox/ymin") - first
            box = (x_min, y_min, _number(item, "bndbox/xmax"), _number(item, "bndbox/ymax"))
            place = Place(f"{path}: object {number + 1} ({name})", path, number)
            objects.append(AnnotatedObject(name, Region(box), place))
    except FileNotFoundError:
        line = f"{path}: missing; {image.name} has no annotation"
        raise DataError(Finding("annotation-unreadable", line, image)) from None
    except (ElementTree.ParseError, LookupError, OSError, ValueError) as error:
        line = f"{path}: not a readable Pascal VOC annotation: {error}"
        raise DataError(Finding("annotation-unreadable", line, image)) from None
    return AnnotatedImage(image, path, objects, size)


def _size(root: ElementTree.Element) -> Size | None:
    """(width, height) as the file gives them; some tools leave them out, or write 0."""
    if root.find("size") is None:
        return None
    width, height = _number(root, "size/width"), _number(root, "size/height")
    return (width, height) if width > 0 and height > 0 else None


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
