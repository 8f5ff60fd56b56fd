"""YOLO: data.yaml, folders of images, and a text file of boxes or polygons for each."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from backbones import InputError
from tasks.config import Annotations, DataSettings
from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import Findings, Place
from tasks.data.formats.format import Format
from tasks.data.images import IMAGE_SUFFIXES, check_image_files, read_image_size

_FILES = ("data.yaml", "data.yml", "dataset.yaml")
_SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_CLASS_LIST = "classes.txt"  # which labelImg writes among the labels
_BOX = 4
_LEAST_POLYGON = 6
_SLACK = 1e-3  # by which rounded shares may leave the image


def recognise(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _FILES)


@dataclass(frozen=True)
class _Object:
    label: int
    values: tuple[float, ...]
    line: int


def read(folder: Path, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read data.yaml (`names`; `train`, `val` and perhaps `test`: folders of images or lists of them, from `path` or
    beside the file) and labels/.../NAME.txt for images/.../NAME.jpg.

    A line is "class x y width height", centre and size as shares of the image, or "class x y x y x y ...", a
    polygon whose extent is the box. An image without a file has no objects.

    Raises:
        InputError: a file is missing or unreadable, or a line is not of this kind, its class unknown or its
            coordinates not shares.
    """
    file = next(folder / name for name in _FILES if (folder / name).is_file())
    content = _read_yaml(file)
    classes = _names(file, content)
    root = folder / str(content.get("path") or "")
    if not root.is_dir():  # `path` is often that of the machine where the file was written
        root = folder
    splits: dict[str, SampleTable] = {}
    labels: set[Path] = set()
    lists = {_CLASS_LIST}
    for split, keys in _SPLITS.items():
        entries = next((content[key] for key in keys if content.get(key)), None)
        if entries is None:
            continue
        images = _images(file, folder, root, entries)
        splits[split] = _read_split(folder, images, classes, annotations == "polygons", findings)
        labels |= {_label_file(path) for path in images}
        lists |= {Path(str(entry)).name for entry in (entries if isinstance(entries, list) else [entries])}
    if "train" not in splits:
        raise InputError(f"{file}: names no train images")
    for path in sorted({path for place in {label.parent for label in labels} for path in place.glob("*.txt")} - labels):
        if path.name not in lists:
            findings.add("label-unlisted", f"{path}: there is no image of this name")
    return DataSet("YOLO", classes, splits, tuple(findings.found))


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file}: not readable YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: wanted are 'names:', 'train:' and 'val:'")
    return content


def _names(file: Path, content: dict[str, Any]) -> tuple[str, ...]:
    names = content.get("names")
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise InputError(f"{file}: names has the numbers {', '.join(map(str, names))}; wanted are 0, 1, ...")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise InputError(f"{file}: has no names, a list of the classes")
    if len(set(map(str, names))) < len(names):
        raise InputError(f"{file}: two classes share a name")
    return tuple(str(name) for name in names)


def _images(file: Path, folder: Path, root: Path, entries: Any) -> list[Path]:
    found: list[Path] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        # Exports write ../train/images for a folder beside the file.
        tried = [root / str(entry), folder / str(entry), folder / str(entry).removeprefix("../")]
        place = next((path for path in tried if path.exists()), None)
        if place is None:
            raise InputError(f"{file}: {entry!r} is neither a folder of images nor a list of them (looked in {root})")
        if place.is_dir():
            found += [path for path in place.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES]
        else:
            try:
                lines = place.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"{place}: not a readable list of images: {error}") from None
            found += [(place.parent if line.startswith(".") else root) / line.strip() for line in lines if line.strip()]
    if not found:
        raise InputError(f"{file}: {entries!r} holds no images")
    # Not resolved: the labels of a link lie beside the link, not beside what it leads to.
    return sorted({Path(os.path.abspath(path)) for path in found})


def _read_split(
    folder: Path, images: Sequence[Path], classes: tuple[str, ...], polygons: bool, findings: Findings
) -> SampleTable:
    base = Path(os.path.abspath(folder))
    if not all(path.is_relative_to(base) for path in images):
        base = Path(images[0].anchor)
    sizes: dict[Path, tuple[int, int]] = {}
    for path in images:
        with findings.skipping():
            sizes[path] = read_image_size(path)
    names = [path.relative_to(base).as_posix() for path in sizes]
    check_image_files(base, names, list(sizes.values()), findings)
    objects, places = Objects(), []
    for position, (image, size) in enumerate(sizes.items()):
        labels = _label_file(image)
        for item in _read_labels(labels, image, classes, findings) if labels.is_file() else []:
            where = f"{labels}: line {item.line} ({classes[item.label]})"
            box, polygon = _scaled(item.values, size)
            objects.add(position, box, item.label)
            places.append(Place(where, labels, item.line - 1))
            if polygons:
                if polygon is None:
                    findings.add("polygon-broken", f"{where} is a box; masks need polygons in every line")
                objects.segmentations.append(msgspec.json.encode([polygon or []]))
    return build_table(names, base, list(sizes.values()), objects, places.__getitem__, findings=findings)


def _label_file(image: Path) -> Path:
    """labels/ in the place of the last images/ on the image's path."""
    parts = list(image.parts)
    for number in range(len(parts) - 2, -1, -1):
        if parts[number] == "images":
            parts[number] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _read_labels(path: Path, image: Path, classes: tuple[str, ...], findings: Findings) -> list[_Object]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        findings.add("annotation-unreadable", f"{path}: cannot be read: {error}", image=image)
        return []
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_object(line, number, classes))
        except _LineError as error:
            findings.add(error.check, f"{path}: line {number}: {error}", image=image)
    return found


class _LineError(Exception):
    def __init__(self, check: str, reason: str) -> None:
        super().__init__(reason)
        self.check = check


def _object(line: str, number: int, classes: tuple[str, ...]) -> _Object:
    try:
        label, *values = (float(value) for value in line.split())
    except ValueError:
        raise _LineError("annotation-unreadable", f"{line.strip()!r} is not made of numbers") from None
    if len(values) != _BOX and (len(values) < _LEAST_POLYGON or len(values) % 2):
        reason = f"{len(values)} numbers after the class; wanted are 4, or a polygon's pairs"
        raise _LineError("annotation-unreadable", reason)
    if label not in range(len(classes)):
        counted = "; does this file count from 1?" if label == len(classes) else ""
        reason = f"the class is {label:g}; classes are numbered from 0 to {len(classes) - 1} ({classes[-1]}){counted}"
        raise _LineError("class-unknown", reason)
    if not all(-_SLACK <= value <= 1 + _SLACK for value in values):  # which NaN is not either
        reason = f"{line.strip()!r} has coordinates that are no shares of the image, 0 to 1"
        raise _LineError("box-not-a-number", reason)
    return _Object(int(label), tuple(values), number)


def _scaled(
    values: tuple[float, ...], size: tuple[int, int]
) -> tuple[tuple[float, float, float, float], list[float] | None]:
    """The box in pixels, and the polygon if it is one."""
    width, height = size
    if len(values) == _BOX:
        x, y, w, h = values[0] * width, values[1] * height, values[2] * width, values[3] * height
        return (x - w / 2, y - h / 2, x + w / 2, y + h / 2), None
    polygon = [value * (height if number % 2 else width) for number, value in enumerate(values)]
    return (min(polygon[::2]), min(polygon[1::2]), max(polygon[::2]), max(polygon[1::2])), polygon


FORMAT = Format(
    name="YOLO",
    layout="data.yaml",
    annotations=("boxes", "polygons"),
    precedence=3,
    recognise=recognise,
    read=read,
)
