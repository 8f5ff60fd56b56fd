"""Pascal VOC: Annotations/*.xml, JPEGImages/, ImageSets/Main/{train,val,test}.txt."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backbones import InputError, nearest
from tasks.config import Annotations, DataSettings, DetectionData
from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.formats.format import Format
from tasks.data.images import check_image_files, read_image_size

_SPLIT_NAMES = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
_EXTENSIONS = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


def recognise(folder: Path) -> bool:
    return (folder / "Annotations").is_dir() and (folder / "JPEGImages").is_dir()


@dataclass(frozen=True)
class _Object:
    name: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class _Annotation:
    path: Path
    image: Path
    width: float
    height: float
    objects: tuple[_Object, ...]


def read(folder: Path, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read the splits that ImageSets/Main lists.

    Classes are the names in train, in alphabetical order. Coordinates are taken as they stand: x_max
    and y_max are the far edge, as labelImg writes them. With `voc_one_based` they count pixels from 1 and include the
    last, as in the original challenge: 1 is taken from x_min and y_min. Objects marked "difficult" are objects.

    Raises:
        InputError: a file is missing or unreadable, or val or test has a class that train lacks.
    """
    assert isinstance(settings, DetectionData)
    read_splits = {split: _read_split(folder, split, findings) for split in ("train", "val", "test")}
    found = {split: items for split, items in read_splits.items() if items is not None}
    if "train" not in found:
        raise InputError(f"{folder / 'ImageSets/Main/train.txt'}: missing; it names the train images")
    classes = tuple(sorted({item.name for annotation in found["train"] for item in annotation.objects}))
    if not classes:
        raise InputError(f"{folder}: no object in any of the {len(found['train'])} training annotations")
    images = folder / "JPEGImages"
    splits = {split: _index(items, images, classes, settings.voc_one_based, findings) for split, items in found.items()}
    _report_unlisted(folder, {annotation.path for items in found.values() for annotation in items}, findings)
    return DataSet("Pascal VOC", classes, splits, tuple(findings.found))


def _index(
    annotations: Sequence[_Annotation], images: Path, classes: tuple[str, ...], one_based: bool, findings: Findings
) -> SampleTable:
    names = [annotation.image.name for annotation in annotations]
    sizes = [(annotation.width, annotation.height) for annotation in annotations]
    check_image_files(images, names, sizes, findings)
    objects, places = Objects(), []
    first = 1.0 if one_based else 0.0
    for position, annotation in enumerate(annotations):
        for number, item in enumerate(annotation.objects, start=1):
            if item.name not in classes:
                line = (
                    f"{annotation.path}: the class {item.name!r} does not occur in train"
                    f"{nearest(item.name, classes)} (train has {', '.join(classes)})"
                )
                findings.add("class-unknown", line, image=annotation.image, box=item.box)
                continue
            x_min, y_min, x_max, y_max = item.box
            objects.add(position, (x_min - first, y_min - first, x_max, y_max), classes.index(item.name))
            places.append(Place(f"{annotation.path}: object {number} ({item.name})", annotation.path, number - 1))
    return build_table(names, images, sizes, objects, places.__getitem__, findings=findings)


def _report_unlisted(folder: Path, listed: set[Path], findings: Findings) -> None:
    left_out = {finding.image.stem for finding in findings.found if finding.image is not None}  # listed, and left out
    for path in sorted(set((folder / "Annotations").glob("*.xml")) - listed):
        if path.stem not in left_out:
            findings.add("label-unlisted", f"{path}: no split lists it")


def _read_split(folder: Path, split: str, findings: Findings) -> list[_Annotation] | None:
    listings = [folder / "ImageSets" / "Main" / f"{name}.txt" for name in _SPLIT_NAMES[split]]
    listing = next((path for path in listings if path.is_file()), None)
    if listing is None:
        return None
    try:
        lines = [line.strip() for line in listing.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{listing}: cannot be read: {error}") from None
    if not lines:
        raise InputError(f"{listing}: names no image")
    images = {path.stem: path for path in (folder / "JPEGImages").iterdir() if path.suffix in _EXTENSIONS}
    # The original challenge writes a flag behind each name.
    names = [line if line in images else re.sub(r"\s+-?[01]$", "", line) for line in lines]
    annotations = []
    for name in dict.fromkeys(names):
        if name not in images:
            line = f"{folder / 'JPEGImages' / name}.jpg: missing, but {listing} names it"
            findings.add("image-missing", line, image=folder / "JPEGImages" / f"{name}.jpg")
            continue
        with findings.skipping():
            annotations.append(_read_xml(folder / "Annotations" / f"{name}.xml", images[name]))
    return annotations


def _read_xml(path: Path, image: Path) -> _Annotation:
    try:
        root = ElementTree.parse(path).getroot()
        width, height = _size(root) or read_image_size(image)
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
        line = f"{path}: missing; {image.name} has no annotation"
        raise DataError(Finding("annotation-unreadable", line, image)) from None
    except DataError:  # of the image's size
        raise
    except (ElementTree.ParseError, LookupError, OSError, ValueError) as error:
        line = f"{path}: not a readable Pascal VOC annotation: {error}"
        raise DataError(Finding("annotation-unreadable", line, image)) from None
    return _Annotation(path, image, width, height, objects)


def _size(root: ElementTree.Element) -> tuple[float, float] | None:
    """(width, height) as the file gives them; some tools leave them out, or write 0."""
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


FORMAT = Format(
    name="Pascal VOC",
    layout="Annotations/, JPEGImages/ and ImageSets/Main/",
    annotations=("boxes",),
    precedence=4,
    recognise=recognise,
    read=read,
    settings=("voc_one_based",),
)
