"""YOLO: data.yaml, folders of pictures, and a text file of boxes or polygons for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from backbones.errors import InputError
from tasks.data.index import Objects, Samples, index_samples
from tasks.data.pictures import check_pictures, picture_size
from tasks.data.samples import DataSet, Sample

_FILES = ("data.yaml", "data.yml", "dataset.yaml")
_SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
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


def read_yolo(folder: Path, *, outlines: bool = False) -> DataSet[Sample]:
    """Read data.yaml (`names`; `train`, `val` and perhaps `test`: folders of pictures or lists of them, from `path` or
    beside the file) and labels/.../NAME.txt for images/.../NAME.jpg.

    A line is "class x y width height", centre and size as shares of the picture, or "class x y x y x y ...", a
    polygon whose extent is the box. A picture without a file has no objects.

    Args:
        outlines: keep the polygons.

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
    dropped: list[str] = []
    splits: dict[str, Samples] = {}
    for split, keys in _SPLITS.items():
        told = next((content[key] for key in keys if content.get(key)), None)
        if told is None:
            continue
        pictures = _pictures(file, folder, root, told)
        splits[split], lines = _read_split(folder, pictures, classes, outlines)
        dropped += lines
    if "train" not in splits:
        raise InputError(f"{file}: names no train pictures")
    return DataSet("YOLO", classes, splits, tuple(dropped))


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
        if sorted(names) != list(range(len(names))):
            raise InputError(
                f"{file}: names has the numbers {', '.join(map(str, sorted(names)))}; wanted are 0, 1, ..."
            )
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
            found += [path for path in place.rglob("*") if path.suffix.lower() in _PICTURES]
        else:
            lines = place.read_text(encoding="utf-8").splitlines()
            found += [(place.parent if line.startswith(".") else root) / line.strip() for line in lines if line.strip()]
    if not found:
        raise InputError(f"{file}: {told!r} holds no pictures")
    return sorted({path.resolve() for path in found})


def _read_split(
    folder: Path, pictures: Sequence[Path], classes: tuple[str, ...], outlines: bool
) -> tuple[Samples, list[str]]:
    base = folder.resolve()
    if not all(path.is_relative_to(base) for path in pictures):
        base = Path(pictures[0].anchor)
    names = [path.relative_to(base).as_posix() for path in pictures]
    sizes = [picture_size(path) for path in pictures]
    check_pictures(base, names, sizes)
    objects, told = Objects(), []
    for position, (picture, size) in enumerate(zip(pictures, sizes, strict=True)):
        labels = _label_file(picture)
        for item in _read_labels(labels, classes) if labels.is_file() else []:
            where = f"{labels}: line {item.line} ({classes[item.label]})"
            box, polygon = _scaled(item.values, size)
            objects.add(position, box, item.label)
            told.append(where)
            if outlines:
                if polygon is None:
                    raise InputError(f"{where} is a box; masks need polygons in every line")
                objects.segmentations.append(msgspec.json.encode([polygon]))
    return index_samples(names, base, sizes, objects, told.__getitem__)


def _label_file(picture: Path) -> Path:
    """labels/ in the place of the last images/ on the picture's path."""
    parts = list(picture.parts)
    for number in range(len(parts) - 2, -1, -1):
        if parts[number] == "images":
            parts[number] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _read_labels(path: Path, classes: tuple[str, ...]) -> list[_Object]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            label, *values = (float(value) for value in line.split())
        except ValueError:
            raise InputError(f"{where}: {line.strip()!r} is not made of numbers") from None
        if len(values) != _BOX and (len(values) < _LEAST_POLYGON or len(values) % 2):
            raise InputError(f"{where}: {len(values)} numbers after the class; wanted are 4, or a polygon's pairs")
        if label not in range(len(classes)):
            raise InputError(
                f"{where}: the class is {label:g}; classes are numbered from 0 to {len(classes) - 1} ({classes[-1]})"
            )
        if not all(-_SLACK <= value <= 1 + _SLACK for value in values):  # which NaN is not either
            raise InputError(f"{where}: {line.strip()!r} has coordinates that are no shares of the picture, 0 to 1")
        found.append(_Object(int(label), tuple(values), number))
    return found


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
