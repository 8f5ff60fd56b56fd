"""Label Studio's JSON and JSON-MIN exports: a file of tasks, whose shapes are in percent of their images."""

from collections.abc import Iterable, Mapping, Sequence
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
from tasks.data.folders.tree import Tree, suffix_of
from tasks.data.formats.format import Format
from tasks.data.formats.label_studio_shapes import image_size, region_of
from tasks.data.images import IMAGE_SUFFIXES

_LABELS = "labels"  # what the keys of labels end with: rectanglelabels, polygonlabels, ...
_GEOMETRY = ("points", "rle", "imageDataURL", "radiusX", "width", "keypointlabels", "vertices")
_KEYS = (b'"original_width"', b'"annotations"', b'"completions"')
_LOOKED_AT = 1 << 20  # bytes of a file, to see what it is

_Task = dict[str, Any]
_Shape = dict[str, Any]
_decoder = msgspec.json.Decoder(list[_Task])


def recognise(tree: Tree) -> bool:
    return bool(tree.files_that((".json",), _is_export))


def _is_export(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
    except OSError:
        return False
    return without_mark(start).startswith(b"[") and any(key in start for key in _KEYS)


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
    images = ImageNames(tree, settings.allow_outside)
    splits: dict[str, list[AnnotatedImage]] = {}
    for path in tree.files_that((".json",), _is_export):
        if not _is_export(tree.folder / path):
            continue
        for position, task in enumerate(_tasks(tree.folder / path, findings), start=1):
            where = f"{tree.folder / path}: task {task.get('id', position)}"
            with findings.skipping():
                results = _results(task, where, findings)
                if results is None:
                    findings.add("image-unlisted", f"{where} is not annotated")
                    continue
                found = _image(task, where, path, images)
                one = _annotated(tree.folder / path, tree.folder / found, results, where, findings)
                split = tree.split_of_image(found, path)
                splits.setdefault(split, []).append(one)
    return data_set("Label Studio", tree.folder, splits, findings, polygons=annotations == "polygons")


def _tasks(file: Path, findings: Findings) -> Iterable[_Task]:
    try:
        content = decode_json(_decoder, file)
    except (OSError, msgspec.DecodeError) as error:
        findings.add("annotation-unreadable", f"{file}: not a readable Label Studio export: {error}")
        return ()
    # JSON-MIN has a line for each annotation of a task.
    latest: dict[Any, _Task] = {}
    for position, task in enumerate(content):
        key = (task["id"],) if "annotation_id" in task and "id" in task else position
        if key not in latest or _when(task) >= _when(latest[key]):
            latest[key] = task
    return latest.values()


def _when(annotation: Mapping[str, Any]) -> str:
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")


def _results(task: _Task, where: str, findings: Findings) -> list[_Shape] | None:
    """The shapes of a task, each with its labels; None where nobody has annotated it."""
    if "annotations" not in task and "completions" not in task:  # JSON-MIN
        lists = [value for value in task.values() if isinstance(value, list) and _are_shapes(value)]
        is_annotated = bool(lists) or "annotation_id" in task or "annotator" in task
        return [_flat(shape) for value in lists for shape in value] if is_annotated else None
    given = task.get("annotations", task.get("completions")) or []
    given = [one for one in given if isinstance(one, dict) and not one.get("was_cancelled")]
    if not given:
        return None
    if len(given) > 1:
        findings.add("annotated-again", f"{where} has {len(given)} annotations; the latest is taken")
    results = [_flat(one) for one in max(given, key=_when).get("result") or [] if isinstance(one, dict)]
    # Labels, and choices of a region, may stand apart from their shape, under the same id.
    by_id: dict[str, list[str]] = {}
    for one in results:
        by_id.setdefault(str(one.get("id")), []).extend(_names(one, "choices"))
    shapes = [one for one in results if any(key in one for key in _GEOMETRY)]
    seen: set[str | None] = set()
    kept = []
    for one in shapes:
        number = None if one.get("id") is None else str(one["id"])
        if number is None or number not in seen:
            kept.append(one if _names(one) or number is None else {**one, _LABELS: by_id[number]})
        seen.add(number)
    return kept


def _flat(result: Mapping[str, Any]) -> _Shape:
    value = result.get("value")
    return {**result, **value} if isinstance(value, dict) else dict(result)


def _names(shape: Mapping[str, Any], *more: str) -> list[str]:
    """Its labels."""
    found: list[str] = []
    for key, value in shape.items():
        if key.endswith(_LABELS) or key in more:
            found += list(map(str, value)) if isinstance(value, list) else [str(value)] if value else []
    return found


def _are_shapes(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, dict) and "original_width" in value for value in values)


def _image(task: _Task, where: str, file: str, images: ImageNames) -> str:
    """The path of a task's image."""
    data = task.get("data", task)
    texts = {"image": data} if isinstance(data, str) else data
    named = {key: text for key, value in texts.items() if isinstance(text := _alone(value), str) and _is_image(text)}
    called_so = [text for key, text in named.items() if key.lower() in ("image", "img")] or list(named.values())
    found = {text: images.find(text, file) for text in called_so}
    there = {path for path in found.values() if path is not None}
    if not called_so:
        raise DataError(Finding("annotation-unreadable", f"{where} has no image"))
    if not there:
        raise DataError(Finding("image-missing", f"{where}: its image {called_so[0]!r} is not there"))
    if len(there) > 1:
        names = ", ".join(found)
        raise DataError(Finding("annotation-unreadable", f"{where} has several images ({names}); wanted is one"))
    return there.pop()


def _alone(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _is_image(text: str) -> bool:
    """A name or a URL: parameters may follow it, or hold it."""
    return bool({suffix_of(text), suffix_of(text.partition("?")[0])} & IMAGE_SUFFIXES)


def _annotated(file: Path, image: Path, results: Sequence[_Shape], where: str, findings: Findings) -> AnnotatedImage:
    objects: list[AnnotatedObject] = []
    size = None
    for number, shape in enumerate(results, start=1):
        names = _names(shape) or [""]
        place = Place(f"{where}: {image.name}: shape {number} ({names[0]})")
        with taking_shape(place, image, findings):
            size = image_size(shape)
            region = region_of(shape, size)
            objects += [AnnotatedObject(labelled(name), region, place) for name in names]
    return AnnotatedImage(image, file, objects, size)


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
