"""LabelMe: a JSON file an image, of shapes with labels; X-AnyLabeling writes the same."""

import math
import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tasks.config import Annotations, DataSettings
from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject, data_set, labelled, taking_shape
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.image_names import ImageNames
from tasks.data.folders.texts import decode_json, without_mark
from tasks.data.folders.tree import Tree, stem_of
from tasks.data.formats.format import Format
from tasks.data.masks.regions import (
    Points,
    Region,
    RegionError,
    bitmap,
    box_around,
    corners,
    ellipse,
    nothing_enclosed,
    polygons,
    union,
    unpacked,
)

_KEYS = (b'"shapes"', b'"imagePath"')
_BEGINNING = 64  # bytes
_TWO = 2  # corners enclose nothing
_WITHOUT_AREA = ("line", "linestrip", "point", "points")


class _Shape(msgspec.Struct):
    label: str | int | float | None
    points: list[list[float]]
    shape_type: str | None = None
    group_id: int | float | str | None = None
    mask: str | None = None

    @property
    def name(self) -> str:
        return "" if self.label is None else str(self.label).strip()


class _File(msgspec.Struct):
    """Without `imageData`, a copy of the image."""

    shapes: list[_Shape]
    imagePath: str | None = None
    imageHeight: float | None = None
    imageWidth: float | None = None


_decoder = msgspec.json.Decoder(_File, strict=False)


def recognise(tree: Tree) -> bool:
    return bool(tree.files_that((".json",), _is_labelme))


def _is_labelme(path: Path) -> bool:
    try:
        with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = without_mark(content[:_BEGINNING])
            return start.startswith(b"{") and all(content.find(key) >= 0 for key in _KEYS)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read every JSON file with the image that it names, or the one of its own name.

    The splits are folders called so; without them all is train. As LabelMe itself exports them, every shape that
    encloses something is an object with a polygon, rectangles and circles too, and shapes of a label and a group are
    one object. Classes are the labels in train, in alphabetical order.

    Raises:
        InputError: a file or an image is missing or unreadable, or val or test has a class that train lacks.
    """
    images = ImageNames(tree, settings.allow_outside)
    splits: dict[str, list[AnnotatedImage]] = {}
    for path in tree.files_that((".json",), _is_labelme):
        with findings.skipping():
            content = _read_file(tree.folder / path)
            if content is None:
                continue
            name = content.imagePath or stem_of(path)
            found = images.find(name, path) or images.find(stem_of(path), path)
            if found is None:
                line = f"{tree.folder / path}: its image {name!r} is not there; put it beside the file"
                raise DataError(Finding("image-missing", line, tree.folder / path))
            one = _annotated(tree.folder / path, tree.folder / found, content, findings)
            split = tree.split_of(path.rpartition("/")[0]) or tree.split_of(found.rpartition("/")[0]) or "train"
            splits.setdefault(split, []).append(one)
    return data_set("LabelMe", tree.folder, splits, findings, polygons=annotations == "polygons")


def _read_file(path: Path) -> _File | None:
    """None for a JSON file of another kind."""
    try:
        return decode_json(_decoder, path)
    except (OSError, msgspec.DecodeError) as error:
        if isinstance(error, msgspec.ValidationError) and not _is_labelme(path):
            return None
        line = f"{path}: not a readable LabelMe file: {error}"
        raise DataError(Finding("annotation-unreadable", line, path)) from None


def _annotated(path: Path, image: Path, content: _File, findings: Findings) -> AnnotatedImage:
    size = None
    if content.imageWidth and content.imageHeight:
        size = (int(content.imageWidth), int(content.imageHeight))
    objects = []
    for numbers in _grouped(content.shapes):
        shapes = [content.shapes[number] for number in numbers]
        name = shapes[0].name
        place = Place(f"{path}: shape {numbers[0] + 1} ({name})")
        with taking_shape(place, image, findings):
            objects.append(AnnotatedObject(labelled(name), _region(shapes, size), place))
    return AnnotatedImage(image, path, objects, size)


def _grouped(shapes: list[_Shape]) -> Iterator[list[int]]:
    """The positions of each object's shapes."""
    groups: dict[Any, list[int]] = {}
    for position, shape in enumerate(shapes):
        alone = shape.group_id is None or shape.group_id == ""
        groups.setdefault(position if alone else (shape.name, shape.group_id), []).append(position)
    yield from groups.values()


def _region(shapes: Sequence[_Shape], size: tuple[int, int] | None) -> Region:
    with_area = [shape for shape in shapes if shape.shape_type not in _WITHOUT_AREA]
    if not with_area:
        raise nothing_enclosed(f"a {shapes[0].shape_type}")
    masks = [_mask(shape, size) for shape in with_area if shape.shape_type == "mask"]
    parts = [_corners(shape) for shape in with_area if shape.shape_type != "mask"]
    if len(parts) > 1:  # what encloses nothing beside something that does is no part of it
        parts = [part for part in parts if len(part) > _TWO] or parts
    regions = [*masks, polygons(parts)] if parts else masks
    return regions[0] if size is None or len(regions) == 1 else union(regions, size)


def _corners(shape: _Shape) -> Points:
    if shape.shape_type == "rectangle":
        return corners(box_around(shape.points).box)
    if shape.shape_type == "circle":
        if len(shape.points) != _TWO:  # the center, and a point on it
            raise RegionError(f"a circle of {len(shape.points)} points")
        radius = math.dist(*shape.points)
        return ellipse(shape.points[0], (radius, radius))
    return shape.points


def _mask(shape: _Shape, size: tuple[int, int] | None) -> Region:
    if size is None:
        raise RegionError("a mask in a file without imageWidth and imageHeight")
    x_min, y_min, _, _ = box_around(shape.points).box
    return bitmap(unpacked(shape.mask or ""), (round(x_min), round(y_min)), size)


FORMAT = Format(
    key="labelme",
    name="LabelMe",
    layout="a LabelMe .json file an image",
    annotations=("boxes", "polygons"),
    precedence=6,
    recognise=recognise,
    read=read,
    suffixes=(".json",),
    alphabetical=True,
)
