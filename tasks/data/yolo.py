"""YOLO: data.yaml, folders of pictures, and a text file of boxes or polygons for each."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from backbones.errors import InputError
from tasks.data.faults import Faults, Place
from tasks.data.index import Samples
from tasks.data.indexing import Objects, index_samples
from tasks.data.pictures import PICTURES, check_pictures, picture_size
from tasks.data.samples import DataSet, Sample

_FILES = ("data.yaml", "data.yml", "dataset.yaml")
_SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_CLASS_LIST = "classes.txt"  # which labelImg writes among the labels
_BOX = 4
_LEAST_POLYGON = 6
_SLACK = 1e-3  # by which rounded shares may leave the picture


def is_yolo(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _FILES)


@dataclass(frozen=True)
class _Object:
    label: int
    values: tuple[float, ...]
    line: int


def read_yolo(folder: Path, *, outlines: bool = False, faults: Faults | None = None) -> DataSet[Sample]:
    """Read data.yaml (`names`; `train`, `val` and perhaps `test`: folders of pictures or lists of them, from `path` or
    beside the file) and labels/.../NAME.txt for images/.../NAME.jpg.

    A line is "class x y width height", centre and size as shares of the picture, or "class x y x y x y ...", a
    polygon whose extent is the box. A picture without a file has no objects.

    Args:
        outlines: keep the polygons.
        faults: takes what is found, and may keep errors.

    Raises:
        InputError: a file is missing or unreadable, or a line is not of this kind, its class unknown or its
            coordinates not shares.
    """
    faults = faults or Faults()
    file = next(folder / name for name in _FILES if (folder / name).is_file())
    content = _read_yaml(file)
    classes = _names(file, content)
    root = folder / str(content.get("path") or "")
    if not root.is_dir():  # `path` is often that of the machine where the file was written
        root = folder
    splits: dict[str, Samples] = {}
    labels: set[Path] = set()
    lists = {_CLASS_LIST}
    for split, keys in _SPLITS.items():
        told = next((content[key] for key in keys if content.get(key)), None)
        if told is None:
            continue
        pictures = _pictures(file, folder, root, told)
        splits[split] = _read_split(folder, pictures, classes, outlines, faults)
        labels |= {_label_file(path) for path in pictures}
        lists |= {Path(str(entry)).name for entry in (told if isinstance(told, list) else [told])}
    if "train" not in splits:
        raise InputError(f"{file}: names no train pictures")
    for path in sorted({path for place in {label.parent for label in labels} for path in place.glob("*.txt")} - labels):
        if path.name not in lists:
            faults.add("label-unlisted", f"{path}: there is no picture of this name")
    return DataSet("YOLO", classes, splits, tuple(faults.found))


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


def _pictures(file: Path, folder: Path, root: Path, told: Any) -> list[Path]:
    found: list[Path] = []
    for entry in told if isinstance(told, list) else [told]:
        # Exports write ../train/images for a folder beside the file.
        tried = [root / str(entry), folder / str(entry), folder / str(entry).removeprefix("../")]
        place = next((path for path in tried if path.exists()), None)
        if place is None:
            raise InputError(f"{file}: {entry!r} is neither a folder of pictures nor a list of them (looked in {root})")
        if place.is_dir():
            found += [path for path in place.rglob("*") if path.suffix.lower() in PICTURES]
        else:
            try:
                lines = place.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"{place}: not a readable list of pictures: {error}") from None
            found += [(place.parent if line.startswith(".") else root) / line.strip() for line in lines if line.strip()]
    if not found:
        raise InputError(f"{file}: {told!r} holds no pictures")
    # Not resolved: the labels of a link lie beside the link, not beside what it leads to.
    return sorted({Path(os.path.abspath(path)) for path in found})


def _read_split(
    folder: Path, pictures: Sequence[Path], classes: tuple[str, ...], outlines: bool, faults: Faults
) -> Samples:
    base = Path(os.path.abspath(folder))
    if not all(path.is_relative_to(base) for path in pictures):
        base = Path(pictures[0].anchor)
    sizes: dict[Path, tuple[int, int]] = {}
    for path in pictures:
        with faults.skipping():
            sizes[path] = picture_size(path)
    names = [path.relative_to(base).as_posix() for path in sizes]
    check_pictures(base, names, list(sizes.values()), faults)
    objects, told = Objects(), []
    for position, (picture, size) in enumerate(sizes.items()):
        labels = _label_file(picture)
        for item in _read_labels(labels, picture, classes, faults) if labels.is_file() else []:
            where = f"{labels}: line {item.line} ({classes[item.label]})"
            box, polygon = _scaled(item.values, size)
            objects.add(position, box, item.label)
            told.append(Place(where, labels, item.line - 1))
            if outlines:
                if polygon is None:
                    faults.add("outline-broken", f"{where} is a box; masks need polygons in every line")
                objects.segmentations.append(msgspec.json.encode([polygon or []]))
    return index_samples(names, base, list(sizes.values()), objects, told.__getitem__, faults=faults)


def _label_file(picture: Path) -> Path:
    """labels/ in the place of the last images/ on the picture's path."""
    parts = list(picture.parts)
    for number in range(len(parts) - 2, -1, -1):
        if parts[number] == "images":
            parts[number] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _read_labels(path: Path, picture: Path, classes: tuple[str, ...], faults: Faults) -> list[_Object]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        faults.add("annotation-unreadable", f"{path}: cannot be read: {error}", picture=picture)
        return []
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_object(line, number, classes))
        except _LineError as error:
            faults.add(error.check, f"{path}: line {number}: {error}", picture=picture)
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
        reason = f"{line.strip()!r} has coordinates that are no shares of the picture, 0 to 1"
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
