"""Pascal VOC: Annotations/*.xml, JPEGImages/, ImageSets/Main/{train,val,test}.txt."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backbones.errors import InputError, nearest
from tasks.data.faults import DataError, Fault, Faults, Place
from tasks.data.index import Samples
from tasks.data.indexing import Objects, index_samples
from tasks.data.pictures import check_pictures, picture_size
from tasks.data.samples import DataSet, Sample

_SPLIT_NAMES = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
_EXTENSIONS = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


def is_voc(folder: Path) -> bool:
    return (folder / "Annotations").is_dir() and (folder / "JPEGImages").is_dir()


@dataclass(frozen=True)
class _Object:
    name: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class _Annotation:
    path: Path
    picture: Path
    width: float
    height: float
    objects: tuple[_Object, ...]


def read_voc(folder: Path, *, one_based: bool = False, faults: Faults | None = None) -> DataSet[Sample]:
    """Read the splits that ImageSets/Main lists.

    Classes are the names in train, in alphabetical order. Coordinates are taken as they stand: x_max
    and y_max are the far edge, as labelImg writes them. Objects marked "difficult" are objects.

    Args:
        one_based: coordinates count pixels from 1 and include the last, as in the original challenge:
            1 is taken from x_min and y_min.
        faults: takes what is found, and may keep errors.

    Raises:
        InputError: a file is missing or unreadable, or val or test has a class that train lacks.
    """
    faults = faults or Faults()
    annotations = {split: _read_split(folder, split, faults) for split in ("train", "val", "test")}
    found = {split: items for split, items in annotations.items() if items is not None}
    if "train" not in found:
        raise InputError(f"{folder / 'ImageSets/Main/train.txt'}: missing; it names the train pictures")
    classes = tuple(sorted({item.name for annotation in found["train"] for item in annotation.objects}))
    if not classes:
        raise InputError(f"{folder}: no object in any of the {len(found['train'])} training annotations")
    pictures = folder / "JPEGImages"
    splits = {split: _index(items, pictures, classes, one_based, faults) for split, items in found.items()}
    _report_unlisted(folder, {annotation.path for items in found.values() for annotation in items}, faults)
    return DataSet("Pascal VOC", classes, splits, tuple(faults.found))


def _index(
    annotations: Sequence[_Annotation], pictures: Path, classes: tuple[str, ...], one_based: bool, faults: Faults
) -> Samples:
    names = [annotation.picture.name for annotation in annotations]
    sizes = [(annotation.width, annotation.height) for annotation in annotations]
    check_pictures(pictures, names, sizes, faults)
    objects, told = Objects(), []
    first = 1.0 if one_based else 0.0
    for position, annotation in enumerate(annotations):
        for number, item in enumerate(annotation.objects, start=1):
            if item.name not in classes:
                line = (
                    f"{annotation.path}: the class {item.name!r} does not occur in train"
                    f"{nearest(item.name, classes)} (train has {', '.join(classes)})"
                )
                faults.add("class-unknown", line, picture=annotation.picture, box=item.box)
                continue
            x_min, y_min, x_max, y_max = item.box
            objects.add(position, (x_min - first, y_min - first, x_max, y_max), classes.index(item.name))
            told.append(Place(f"{annotation.path}: object {number} ({item.name})", annotation.path, number - 1))
    return index_samples(names, pictures, sizes, objects, told.__getitem__, faults=faults)


def _report_unlisted(folder: Path, listed: set[Path], faults: Faults) -> None:
    faulty = {fault.picture.stem for fault in faults.found if fault.picture is not None}  # listed, and left out
    for path in sorted(set((folder / "Annotations").glob("*.xml")) - listed):
        if path.stem not in faulty:
            faults.add("label-unlisted", f"{path}: no split lists it")


def _read_split(folder: Path, split: str, faults: Faults) -> list[_Annotation] | None:
    listings = [folder / "ImageSets" / "Main" / f"{name}.txt" for name in _SPLIT_NAMES[split]]
    listing = next((path for path in listings if path.is_file()), None)
    if listing is None:
        return None
    try:
        lines = [line.strip() for line in listing.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{listing}: cannot be read: {error}") from None
    if not lines:
        raise InputError(f"{listing}: names no picture")
    pictures = {path.stem: path for path in (folder / "JPEGImages").iterdir() if path.suffix in _EXTENSIONS}
    # The original challenge writes a flag behind each name.
    names = [line if line in pictures else re.sub(r"\s+-?[01]$", "", line) for line in lines]
    annotations = []
    for name in dict.fromkeys(names):
        if name not in pictures:
            line = f"{folder / 'JPEGImages' / name}.jpg: missing, but {listing} names it"
            faults.add("picture-missing", line, picture=folder / "JPEGImages" / f"{name}.jpg")
            continue
        with faults.skipping():
            annotations.append(_read_xml(folder / "Annotations" / f"{name}.xml", pictures[name]))
    return annotations


def _read_xml(path: Path, picture: Path) -> _Annotation:
    try:
        root = ElementTree.parse(path).getroot()
        width, height = _size(root) or picture_size(picture)
        objects = tuple(
            _Object(
                name=_text(item, "name"),
                box=(
                    _number(item, "bndbox/xmin"),
                    _number(item, "bndbox/ymin"),
                    _number(item, "bndbox/xmax"),
                    _number(item, "bndbox/ymax"),
                ),
            )
            for item in root.iter("object")
        )
    except FileNotFoundError:
        line = f"{path}: missing; {picture.name} has no annotation"
        raise DataError(Fault("annotation-unreadable", line, picture)) from None
    except DataError:  # of the picture's size
        raise
    except (ElementTree.ParseError, LookupError, OSError, ValueError) as error:
        line = f"{path}: not a readable Pascal VOC annotation: {error}"
        raise DataError(Fault("annotation-unreadable", line, picture)) from None
    return _Annotation(path, picture, width, height, objects)


def _size(root: ElementTree.Element) -> tuple[float, float] | None:
    """(width, height) as the file tells; some tools leave them out, or write 0."""
    if root.find("size") is None:
        return None
    width, height = _number(root, "size/width"), _number(root, "size/height")
    return (width, height) if width > 0 and height > 0 else None


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None or not text.strip():
        raise ValueError(f"<{element.tag}> has no {path}")
    return text.strip()


def _number(element: ElementTree.Element, path: str) -> float:
    text = _text(element, path)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{path} is {text!r}, not a number") from None
