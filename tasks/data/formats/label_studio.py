"""Label Studio's JSON and JSON-MIN exports: a file of tasks, whose shapes are in percent of their images."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tasks.config import Annotations, DataSettings
from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject, data_set, taking_shape
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.image_names import ImageNames
from tasks.data.folders.texts import decode_json
from tasks.data.folders.tree import Tree, suffix_of
from tasks.data.formats.format import Format
from tasks.data.formats.label_studio_brush import brush_pixels
from tasks.data.images import IMAGE_SUFFIXES
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

_LABELS = ("rectanglelabels", "polygonlabels", "brushlabels", "ellipselabels", "labels", "keypointlabels")
_KEYS = (b'"original_width"', b'"annotations"', b'"completions"')
_LOOKED_AT = 1 << 16  # bytes of a file, to see what it is
_PERCENT = 100.0

_Task = dict[str, Any]
_decoder = msgspec.json.Decoder(list[_Task])


def recognise(tree: Tree) -> bool:
    return bool(tree.files_that((".json",), _is_export))


def _is_export(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
    except OSError:
        return False
    return start.lstrip().startswith(b"[") and any(key in start for key in _KEYS)


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read every export with the images of its tasks, by the last part of their names or URLs, with or without what
    Label Studio puts before the names of uploaded files.

    A task without an annotation is not used; one whose annotation is empty has no objects; of several annotations the
    latest is taken. The splits are those of the files' names or folders, else of the images' folders, else all is
    train. Turned boxes are taken as the boxes that enclose them; polygons, ellipses and brushes have polygons.
    Classes are the labels in train, in alphabetical order.

    Raises:
        InputError: a file or an image is missing or unreadable, or val or test has a class that train lacks.
    """
    images = ImageNames(tree)
    splits: dict[str, list[AnnotatedImage]] = {}
    for path in tree.files_that((".json",), _is_export):
        for position, task in enumerate(_tasks(tree.folder / path, findings)):
            where = f"{tree.folder / path}: task {task.get('id', position + 1)}"
            with findings.skipping():
                results = _results(task, where, findings)
                if results is None:
                    findings.add("image-unlisted", f"{where} is not annotated")
                    continue
                name = _image_name(task, where)
                found = images.find(name, path)
                if found is None:
                    raise DataError(Finding("image-missing", f"{where}: its image {name!r} is not there"))
                one = _annotated(tree.folder / path, tree.folder / found, results, where, findings)
                split = tree.split_of_file(path) or tree.split_of(found.rpartition("/")[0]) or "train"
                splits.setdefault(split, []).append(one)
    return data_set("Label Studio", tree, splits, findings, polygons=annotations == "polygons")


def _tasks(file: Path, findings: Findings) -> Iterator[_Task]:
    try:
        yield from decode_json(_decoder, file)
    except (OSError, msgspec.DecodeError) as error:
        findings.add("annotation-unreadable", f"{file}: not a readable Label Studio export: {error}")


def _results(task: _Task, where: str, findings: Findings) -> list[Mapping[str, Any]] | None:
    """The shapes of a task, each with its labels; None where nobody has annotated it."""
    if not isinstance(task.get("data"), dict):  # JSON-MIN
        lists = [value for value in task.values() if isinstance(value, list) and _are_shapes(value)]
        return [shape for value in lists for shape in value] if lists else None
    given = task.get("annotations", task.get("completions")) or []
    given = [one for one in given if isinstance(one, dict) and not one.get("was_cancelled")]
    if not given:
        return None
    if len(given) > 1:
        findings.add("annotated-again", f"{where} has {len(given)} annotations; the latest is taken")
    latest = max(given, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))
    shapes = [one for one in latest.get("result") or [] if isinstance(one, dict) and isinstance(one.get("value"), dict)]
    return [{**shape, **shape["value"]} for shape in shapes]


def _are_shapes(values: Sequence[Any]) -> bool:
    return all(isinstance(value, dict) and "original_width" in value for value in values)


def _image_name(task: _Task, where: str) -> str:
    texts = {key: value for key, value in task.get("data", task).items() if isinstance(value, str)}
    named = {
        key: text
        for key, text in texts.items()
        if {suffix_of(text), suffix_of(text.partition("?")[0])} & IMAGE_SUFFIXES
    }
    called_so = [text for key, text in named.items() if "image" in key.lower()] or list(named.values())
    if len(called_so) != 1:
        found = f"several images ({', '.join(called_so)})" if called_so else "no image"
        raise DataError(Finding("annotation-unreadable", f"{where} has {found}; wanted is one"))
    return called_so[0]


def _is_image(text: str) -> bool:
    """A name or a URL: parameters may follow it, or hold it."""
    return bool({suffix_of(text), suffix_of(text.partition("?")[0])} & IMAGE_SUFFIXES)


def _annotated(
    file: Path, image: Path, results: Sequence[Mapping[str, Any]], where: str, findings: Findings
) -> AnnotatedImage:
    objects: list[AnnotatedObject] = []
    size = None
    for number, shape in enumerate(results, start=1):
        labels = next((shape[key] for key in _LABELS if shape.get(key)), None)
        if not labels:  # a choice, a text, or a shape beside its label
            continue
        place = Place(f"{where}: {image.name}: shape {number} ({labels[0]})")
        with taking_shape(place, image, findings):
            size = _size(shape)
            objects.append(AnnotatedObject(str(labels[0]), _region(shape, size), place))
    return AnnotatedImage(image, file, objects, size)


def _size(shape: Mapping[str, Any]) -> tuple[int, int]:
    size = shape.get("original_width"), shape.get("original_height")
    if not all(isinstance(value, int) and value > 0 for value in size):
        raise RegionError("it has no original_width and original_height")
    if shape.get("image_rotation"):
        raise RegionError(f"the image was turned by {shape['image_rotation']} degrees to annotate it: turn the file so")
    return size  # type: ignore[return-value]


def _region(shape: Mapping[str, Any], size: tuple[int, int]) -> Region:
    width, height = size[0] / _PERCENT, size[1] / _PERCENT
    if "rle" in shape:
        return bitmap(brush_pixels(shape["rle"], size), (0, 0), size)
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
        raise nothing_enclosed("a point")
    box = (x, y, x + _number(shape, "width") * width, y + _number(shape, "height") * height)
    return box_around(turned(corners(box), degrees, (x, y))) if degrees else Region(box)


def _number(shape: Mapping[str, Any], name: str) -> float:
    value = shape.get(name)
    if not isinstance(value, int | float):
        raise RegionError(f"{name} is {value!r}, not a number")
    return float(value)


FORMAT = Format(
    key="label_studio",
    name="Label Studio",
    layout="a .json export of Label Studio, and folders of images",
    annotations=("boxes", "polygons"),
    precedence=8,
    recognise=recognise,
    read=read,
    suffixes=(".json",),
    alphabetical=True,
)
