"""COCO JSON: annotations/instances_*.json beside folders of pictures."""

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from backbones.errors import InputError, nearest
from tasks.data.pictures import check_picture, picture_size
from tasks.data.samples import BoxList, DataSet, Sample, by_name

_PREFIX = "instances_"
_Kinds = type | tuple[type, ...]
_FIELDS: dict[str, dict[str, _Kinds]] = {
    "images": {"id": (int, str), "file_name": str},
    "annotations": {"id": (int, str), "image_id": (int, str), "category_id": int},
    "categories": {"id": int, "name": str},
}


def is_coco(folder: Path) -> bool:
    return any((folder / "annotations").glob(f"{_PREFIX}*.json"))


def read_coco(folder: Path) -> DataSet[Sample]:
    """Read annotations/instances_{train,val,test}*.json.

    The classes are train's categories in the order of their ids, gaps closed. Pictures lie in the folder
    of the file's name (instances_train2017.json: train2017/), in that of the split, or in images/.

    Raises:
        InputError: a file is missing or unreadable, its parts disagree, or val or test has a class that
            train lacks.
    """
    files = {split: path for split in ("train", "val", "test") if (path := _split_file(folder, split)) is not None}
    for split in ("train", "val"):
        if split not in files:
            raise InputError(f"{folder / 'annotations' / _PREFIX}{split}*.json: missing; it holds the {split} split")
    contents = {split: _read_json(path) for split, path in files.items()}
    classes = tuple(_categories(files["train"], contents["train"]).values())
    dropped: list[str] = []
    splits: dict[str, tuple[Sample, ...]] = {}
    for split, content in contents.items():
        splits[split], lines = _read_split(folder, files[split], content, classes)
        dropped += lines
    return DataSet("COCO", classes, splits, tuple(dropped))


def _split_file(folder: Path, split: str) -> Path | None:
    found = sorted((folder / "annotations").glob(f"{_PREFIX}{split}*.json"))
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise InputError(f"{folder / 'annotations'}: {names} both look like the {split} split; keep one")
    return found[0] if found else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not readable JSON: {error}") from None
    for key, fields in _FIELDS.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise InputError(f"{path}: not a COCO file: it has no list {key!r}")
        for number, item in enumerate(content[key]):
            for field, kind in fields.items():
                if not isinstance(item, dict) or not isinstance(item.get(field), kind):
                    raise InputError(f"{path}: {key}[{number}] has no {field}, or not of the right type")
    return content


def _categories(path: Path, content: dict[str, Any]) -> dict[int, str]:
    categories = {item["id"]: item["name"] for item in sorted(content["categories"], key=lambda item: item["id"])}
    if len(set(categories.values())) < len(content["categories"]):
        raise InputError(f"{path}: two categories share an id or a name")
    return categories


def _read_split(
    folder: Path, path: Path, content: dict[str, Any], classes: tuple[str, ...]
) -> tuple[tuple[Sample, ...], list[str]]:
    labels: dict[int, int] = {}
    for category, name in _categories(path, content).items():
        if name not in classes:
            raise InputError(f"{path}: train has no class {name!r}{nearest(name, classes)}")
        labels[category] = classes.index(name)
    images = {item["id"]: item for item in content["images"]}
    if not images:
        raise InputError(f"{path}: lists no pictures")
    if len(images) < len(content["images"]):
        raise InputError(f"{path}: two pictures share an id")
    annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for item in content["annotations"]:
        if item["image_id"] not in images:
            raise InputError(f"{path}: annotation {item['id']} is for picture {item['image_id']}, which is not listed")
        annotations[item["image_id"]].append(item)
    pictures = _picture_folder(folder, path, next(iter(images.values()))["file_name"])
    samples: list[Sample] = []
    dropped: list[str] = []
    for key, image in images.items():
        picture = pictures / image["file_name"]
        told = (_finite(image.get("width")), _finite(image.get("height")))
        size = (told[0], told[1]) if told[0] and told[1] else picture_size(picture)
        check_picture(picture, *size)
        boxes = _boxes(path, image, size, annotations[key], labels)
        dropped += boxes.dropped
        samples.append(boxes.sample(image["file_name"], picture))
    return by_name(samples), dropped


def _boxes(
    path: Path, image: dict[str, Any], size: tuple[float, float], items: list[dict[str, Any]], labels: dict[int, int]
) -> BoxList:
    boxes = BoxList(f"{path}: {image['file_name']}", *size)
    for item in items:
        what = f"annotation {item['id']}"
        if item["category_id"] not in labels:
            raise InputError(f"{path}: {what} has category {item['category_id']}, which is not listed")
        bbox = item.get("bbox")
        if not isinstance(bbox, list) or len(bbox) != 4 or not all(isinstance(v, int | float) for v in bbox):
            raise InputError(f"{path}: {what} has no bbox of four numbers")
        x, y, width, height = (float(value) for value in bbox)
        boxes.add(
            (x, y, x + width, y + height),
            labels[item["category_id"]],
            what=what,
            area=_finite(item.get("area")),
            crowd=item.get("iscrowd") in (1, "1"),
        )
    return boxes


def _finite(value: object) -> float | None:
    """A number that can be used, or None where the file leaves it out or has something else there."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _picture_folder(folder: Path, path: Path, example: str) -> Path:
    name = path.stem.removeprefix(_PREFIX)
    split = next(split for split in ("train", "val", "test") if name.startswith(split))
    names = dict.fromkeys([name, split, "valid"] if split == "val" else [name, split])
    candidates = [place / name for name in names for place in (folder, folder / "images")] + [folder / "images"]
    for candidate in candidates:
        if (candidate / example).is_file():
            return candidate
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    tried = ", ".join(f"{candidate.relative_to(folder)}/" for candidate in candidates)
    raise InputError(f"{folder}: no folder of pictures for {path.name} (looked for {tried})")
