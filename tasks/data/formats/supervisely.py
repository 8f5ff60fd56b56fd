"""Supervisely, and what DatasetNinja publishes: ann/ with a JSON file for each image of img/."""

from pathlib import Path

import msgspec

from tasks.config import Annotations, DataSettings
from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject, data_set, taking_shape
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.texts import decode_json
from tasks.data.folders.tree import LayoutError, Tree, joined, split_named
from tasks.data.formats.format import Format
from tasks.data.masks.regions import (
    Region,
    RegionError,
    bitmap,
    box_around,
    nothing_enclosed,
    unpacked,
    with_holes,
)

_ANNOTATIONS, _IMAGES = "ann", "img"
_OPPOSITE = 2  # corners of a rectangle


class _Size(msgspec.Struct):
    width: int
    height: int


class _Points(msgspec.Struct):
    exterior: list[tuple[float, float]] = []
    interior: list[list[tuple[float, float]]] = []


class _Bitmap(msgspec.Struct):
    data: str
    origin: tuple[int, int]


class _Object(msgspec.Struct, rename="camel"):
    class_title: str
    geometry_type: str = ""
    points: _Points = msgspec.field(default_factory=_Points)
    bitmap: _Bitmap | None = None


class _Tag(msgspec.Struct):
    name: str


class _File(msgspec.Struct):
    size: _Size
    objects: list[_Object]
    tags: list[_Tag] = []


_decoder = msgspec.json.Decoder(_File)


def recognise(tree: Tree) -> bool:
    return bool(_folders(tree))


def _folders(tree: Tree) -> list[str]:
    """The directories with an ann/ and an img/ in them."""
    places = [directory.rpartition("/")[0] or "." for directory in tree.files if _last(directory) == _ANNOTATIONS]
    return [
        place
        for place in places
        if joined(place, _IMAGES) in tree.files and tree.named(joined(place, _ANNOTATIONS), (".json",))
    ]


def _last(directory: str) -> str:
    return directory.rpartition("/")[2]


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read ann/a.jpg.json with img/a.jpg, in every folder that has both.

    The split of an image is that of a folder above it, else the first of its tags that names one, else train.
    Rectangles include their last pixels. Polygons and bitmaps have polygons, rectangles have none. Classes are the
    titles in train, in alphabetical order.

    Raises:
        InputError: a file or an image is missing or unreadable, or val or test has a class that train lacks.
    """
    splits: dict[str, list[AnnotatedImage]] = {}
    for place in _folders(tree):
        files = tree.named(joined(place, _ANNOTATIONS), (".json",))
        images = set(tree.images.get(joined(place, _IMAGES), ()))
        by_stem = {name.rpartition(".")[0]: name for name in images}
        if not any(_image_of(file, images, by_stem) for file in files):
            there = joined(place, _IMAGES)
            raise LayoutError(
                f"{tree.folder}: found {tree.counts()}: looks like Supervisely, but {there} has no image for "
                f"{files[0]!r}; give each image the name of its annotation without .json"
            )
        for file in files:
            path = tree.folder / place / _ANNOTATIONS / file
            image = _image_of(file, images, by_stem)
            if image is None:
                line = f"{path}: there is no image of this name in {tree.folder / place / _IMAGES}"
                findings.add("image-missing", line, image=tree.folder / place / _IMAGES / file.removesuffix(".json"))
                continue
            with findings.skipping():
                content = _read_file(path)
                one = _annotated(path, tree.folder / place / _IMAGES / image, content, findings)
                tagged = None if tree.one_split else _tagged(content)
                splits.setdefault(tree.split_of(place) or tagged or "train", []).append(one)
    return data_set("Supervisely", tree, splits, findings, polygons=annotations == "polygons")


def _image_of(file: str, images: set[str], by_stem: dict[str, str]) -> str | None:
    name = file.rpartition(".")[0]
    return name if name in images else by_stem.get(name)


def _tagged(content: _File) -> str | None:
    return next((split for tag in content.tags if (split := split_named(tag.name))), None)


def _read_file(path: Path) -> _File:
    try:
        return decode_json(_decoder, path)
    except (OSError, msgspec.DecodeError) as error:
        line = f"{path}: not a readable Supervisely annotation: {error}"
        raise DataError(Finding("annotation-unreadable", line, path)) from None


def _annotated(path: Path, image: Path, content: _File, findings: Findings) -> AnnotatedImage:
    size = (content.size.width, content.size.height)
    objects = []
    for number, item in enumerate(content.objects):
        place = Place(f"{path}: object {number + 1} ({item.class_title})")
        with taking_shape(place, image, findings):
            objects.append(AnnotatedObject(item.class_title, _region(item, size), place))
    return AnnotatedImage(image, path, objects, size)


def _region(item: _Object, size: tuple[int, int]) -> Region:
    if item.bitmap is not None:
        return bitmap(unpacked(item.bitmap.data), item.bitmap.origin, size)
    outer = item.points.exterior
    # Older files leave the type to the project's meta.json.
    kind = item.geometry_type or ("rectangle" if len(outer) == _OPPOSITE else "polygon")
    if kind == "rectangle":
        x_min, y_min, x_max, y_max = box_around(outer).box
        return Region((x_min, y_min, x_max + 1, y_max + 1))
    if kind == "polygon":
        return with_holes(outer, item.points.interior, size)
    if kind in ("bitmap", "alpha_mask"):
        raise RegionError(f"an object of the type {kind} without a bitmap")
    raise nothing_enclosed(f"a {kind}")


FORMAT = Format(
    key="supervisely",
    name="Supervisely",
    layout="ann/ of .json files beside img/",
    annotations=("boxes", "polygons"),
    precedence=2,
    recognise=recognise,
    read=read,
    suffixes=(".json",),
    alphabetical=True,
)
