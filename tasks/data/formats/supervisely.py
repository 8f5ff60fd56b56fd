"""Supervisely, and what DatasetNinja publishes: ann/ with a JSON file for each image of img/."""

from pathlib import Path

import msgspec

from tasks.config import Annotations, DataSettings
from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject, data_set, labelled, taking_shape
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.texts import decode_json
from tasks.data.folders.tree import LayoutError, Tree, joined, split_named, stem_of
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
    exterior: list[list[float]] = []
    interior: list[list[list[float]]] = []


class _Bitmap(msgspec.Struct):
    data: str
    origin: list[float]


class _Object(msgspec.Struct, rename="camel"):
    """`points` are of another form where the type is neither rectangle nor polygon."""

    class_title: str
    geometry_type: str = ""
    points: msgspec.Raw = msgspec.Raw(b"null")
    bitmap: _Bitmap | None = None


class _Tag(msgspec.Struct):
    name: str


class _File(msgspec.Struct):
    size: _Size
    objects: list[_Object]
    tags: list[_Tag | str] = []


_decoder = msgspec.json.Decoder(_File)
_points_decoder = msgspec.json.Decoder(_Points | None)


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
    unmatched = ""
    for place in _folders(tree):
        files = tree.named(joined(place, _ANNOTATIONS), (".json",))
        images = set(tree.images.get(joined(place, _IMAGES), ()))
        by_stem = {stem_of(name): name for name in images}
        if not any(_image_of(file, images, by_stem) for file in files):
            unmatched = f"looks like Supervisely, but {joined(place, _IMAGES)} has no image for {files[0]!r}"
            continue
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
    if not splits and unmatched:
        cure = "give each image the name of its annotation without .json"
        raise LayoutError(f"{tree.folder}: found {tree.counts()}: {unmatched}; {cure}")
    return data_set("Supervisely", tree.folder, splits, findings, polygons=annotations == "polygons")


def _image_of(file: str, images: set[str], by_stem: dict[str, str]) -> str | None:
    name = stem_of(file)
    return name if name in images else by_stem.get(name) or by_stem.get(stem_of(name))


def _tagged(content: _File) -> str | None:
    names = (tag if isinstance(tag, str) else tag.name for tag in content.tags)
    return next((split for name in names if (split := split_named(name))), None)


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
            objects.append(AnnotatedObject(labelled(item.class_title), _region(item, size), place))
    return AnnotatedImage(image, path, objects, size)


def _region(item: _Object, size: tuple[int, int]) -> Region:
    if item.bitmap is not None:
        x, y, _, _ = box_around([item.bitmap.origin]).box
        return bitmap(unpacked(item.bitmap.data), (round(x), round(y)), size)
    if item.geometry_type in ("bitmap", "alpha_mask"):
        raise RegionError(f"an object of the type {item.geometry_type} without a bitmap")
    if item.geometry_type not in ("", "rectangle", "polygon"):
        raise nothing_enclosed(f"a {item.geometry_type}")
    try:
        points = _points_decoder.decode(item.points) or _Points()
    except msgspec.ValidationError as error:
        raise RegionError(f"its points are of another form ({error})") from None
    # Older files leave the type to the project's meta.json.
    if item.geometry_type == "rectangle" or (not item.geometry_type and len(points.exterior) == _OPPOSITE):
        x_min, y_min, x_max, y_max = box_around(points.exterior).box
        return Region((x_min, y_min, x_max + 1, y_max + 1))
    return with_holes(points.exterior, points.interior, size)


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
