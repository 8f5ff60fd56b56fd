"""CVAT's own XML: a file a task, "CVAT for images" or "CVAT for video"."""

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from backbones import InputError
from tasks.config import Annotations, DataSettings
from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject, data_set, labelled, taking_shape
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.image_names import ImageNames
from tasks.data.folders.texts import read_xml
from tasks.data.folders.tree import Tree, split_named
from tasks.data.formats.format import Format
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
)

_ROOT = re.compile(rb"<annotations[\s>]")
_LOOKED_AT = 4096  # bytes of a file, to see what it is
_SHAPES = frozenset({"box", "polygon", "mask", "ellipse", "polyline", "points", "cuboid", "skeleton"})
_FRAME = "frame_{:06d}"  # as CVAT calls the images of a video


def recognise(tree: Tree) -> bool:
    return bool(tree.files_that((".xml",), _is_cvat))


def _is_cvat(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return bool(_ROOT.search(file.read(_LOOKED_AT)))
    except OSError:
        return False


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read every XML file with the images that it names, or the frames of its video that have an object
    (images/frame_000000.png).

    The split of an image is its subset, else that of the file's name or folder, else that of its own folder, else
    train. Turned boxes are taken as the boxes that enclose them; only polygons, ellipses and masks have polygons.
    Classes are the labels in train, in alphabetical order.

    Raises:
        InputError: a file or an image is missing or unreadable, or val or test has a class that train lacks.
    """
    images = ImageNames(tree, settings.allow_outside)
    splits: dict[str, list[AnnotatedImage]] = {}
    for path in tree.files_that((".xml",), _is_cvat):
        for split, one in _read_file(tree, path, images, findings):
            splits.setdefault(split, []).append(one)
    return data_set("CVAT", tree.folder, splits, findings, polygons=annotations == "polygons")


def _read_file(tree: Tree, path: str, images: ImageNames, findings: Findings) -> Iterator[tuple[str, AnnotatedImage]]:
    """The split and the image of each."""
    file = tree.folder / path
    try:
        root = read_xml(file)
        frames = _frames(file, root)
    except (ElementTree.ParseError, OSError, ValueError) as error:
        findings.add("annotation-unreadable", f"{file}: not a readable CVAT file: {error}")
        return
    for element in [*root.iter("image"), *frames]:
        name = element.get("name", "")
        with findings.skipping():
            subset = split_named(element.get("subset", ""))
            found = images.find(name, path, subset)
            if found is None:
                is_frame = (
                    " (a frame of a video; for single images export 'CVAT for images')" if element in frames else ""
                )
                line = f"{file}: its image {name!r} is not there{is_frame}"
                raise DataError(Finding("image-missing", line, tree.folder / name))
            one = _annotated(file, tree.folder / found, element, findings)
            yield tree.split_of_image(found, path, subset), one


def _frames(file: Path, root: ElementTree.Element) -> list[ElementTree.Element]:
    """What a video's tracks hold, frame by frame, as CVAT for images writes it."""
    frames: dict[int, ElementTree.Element] = {}
    tracks = list(root.iter("track"))
    if len({track.get("task_id") for track in tracks}) > 1:
        raise InputError(f"{file}: holds videos of several tasks, whose frames have the same names; export each task")
    for track in tracks:
        for shape in track:
            if shape.tag not in _SHAPES or shape.get("outside") == "1":
                continue
            number = int(float(shape.get("frame", 0)))
            name, subset = _FRAME.format(number), track.get("subset", "")
            frame = frames.setdefault(number, ElementTree.Element("image", name=name, subset=subset))
            shape.set("label", track.get("label", ""))
            frame.append(shape)
    return [frame for _, frame in sorted(frames.items())]


def _annotated(file: Path, image: Path, element: ElementTree.Element, findings: Findings) -> AnnotatedImage:
    width, height = element.get("width"), element.get("height")
    try:
        size = (int(float(width)), int(float(height))) if width and height else None
    except (OverflowError, ValueError):
        line = f"{file}: {image.name}: its size is {width!r} x {height!r}, which are no numbers"
        raise DataError(Finding("annotation-unreadable", line, image)) from None
    objects = []
    for number, shape in enumerate(shape for shape in element if shape.tag in _SHAPES):
        label = shape.get("label", "")
        place = Place(f"{file}: {image.name}: {shape.tag} {number + 1} ({label})")
        with taking_shape(place, image, findings):
            objects.append(AnnotatedObject(labelled(label), _region(shape, size), place))
    return AnnotatedImage(image, file, objects, size)


def _region(shape: ElementTree.Element, size: tuple[int, int] | None) -> Region:
    degrees = _number(shape, "rotation") if "rotation" in shape.attrib else 0.0
    if shape.tag == "box":
        x_min, y_min, x_max, y_max = (_number(shape, name) for name in ("xtl", "ytl", "xbr", "ybr"))
        if not degrees:
            return Region((x_min, y_min, x_max, y_max))
        center = ((x_min + x_max) / 2, (y_min + y_max) / 2)
        return box_around(turned(corners((x_min, y_min, x_max, y_max)), degrees, center))
    if shape.tag == "ellipse":
        radii = (_number(shape, "rx"), _number(shape, "ry"))
        return polygons([ellipse((_number(shape, "cx"), _number(shape, "cy")), radii, degrees)])
    if shape.tag == "polygon":
        return polygons([_points(shape)])
    if shape.tag == "mask":
        return _mask(shape, size)
    raise nothing_enclosed(f"a {shape.tag}")


def _points(shape: ElementTree.Element) -> list[list[float]]:
    try:
        return [[float(value) for value in point.split(",")] for point in shape.get("points", "").split(";") if point]
    except ValueError:
        raise RegionError("its corners are no pairs of numbers") from None


def _mask(shape: ElementTree.Element, size: tuple[int, int] | None) -> Region:
    """Its run lengths go row by row through a part of the image; the first is of what is outside."""
    if size is None:
        raise RegionError("a mask on an image without width and height")
    left, top, width, height = (_whole(shape, name) for name in ("left", "top", "width", "height"))
    try:
        runs = np.array([int(count) for count in shape.get("rle", "").split(",")])
    except ValueError:
        raise RegionError("its run lengths are no numbers") from None
    if (runs < 0).any() or width < 0 or runs.sum() != width * height:
        raise RegionError(f"its run lengths are of {runs.sum()} pixels, its box of {width * height}")
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return bitmap(pixels, (left, top), size)


def _whole(shape: ElementTree.Element, name: str) -> int:
    value = _number(shape, name)
    if not math.isfinite(value):
        raise RegionError(f"{name} is {value}")
    return int(value)


def _number(shape: ElementTree.Element, name: str) -> float:
    try:
        return float(shape.get(name, ""))
    except ValueError:
        raise RegionError(f"{name} is {shape.get(name, '')!r}, not a number") from None


FORMAT = Format(
    key="cvat",
    name="CVAT",
    layout="an .xml file of CVAT, and folders of images",
    annotations=("boxes", "polygons"),
    precedence=7,
    recognise=recognise,
    read=read,
    suffixes=(".xml",),
    alphabetical=True,
)
