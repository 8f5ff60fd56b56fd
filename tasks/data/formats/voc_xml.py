"""One Pascal VOC annotation: the XML file of an image."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from tasks.data.findings import DataError, Finding
from tasks.data.images import read_image_size


@dataclass(frozen=True)
class VocObject:
    name: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class VocAnnotation:
    path: Path
    image: Path
    width: float
    height: float
    objects: tuple[VocObject, ...]


def read_voc_xml(path: Path, image: Path) -> VocAnnotation:
    try:
        root = ElementTree.parse(path).getroot()
        width, height = _size(root) or read_image_size(image)
        objects = tuple(
            VocObject(
                name=_text(item, "name"),
                box=(
                    _number(item, "bndbox/xmin"),
                    _number(item, "bndbox/ymin"),
                    _number(item, "bndbox/xmax"),
                    _number(item, "bndbox/ymax"),
                ),
            )
            for item in root.iter("object")
        )
    except FileNotFoundError:
        line = f"{path}: missing; {image.name} has no annotation"
        raise DataError(Finding("annotation-unreadable", line, image)) from None
    except DataError:  # of the image's size
        raise
    except (ElementTree.ParseError, LookupError, OSError, ValueError) as error:
        line = f"{path}: not a readable Pascal VOC annotation: {error}"
        raise DataError(Finding("annotation-unreadable", line, image)) from None
    return VocAnnotation(path, image, width, height, objects)


def _size(root: ElementTree.Element) -> tuple[float, float] | None:
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
