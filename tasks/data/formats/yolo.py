"""YOLO: folders of images, and a text file of boxes or polygons for each, described by a YAML file or a class list."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tasks.config import Annotations, DataSettings
from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import Findings, Place
from tasks.data.folders.tree import LayoutError, Tree, stem_of
from tasks.data.formats.format import Format
from tasks.data.formats.yolo_description import find_description, has_labels, read_description
from tasks.data.formats.yolo_labels import are_key_points, in_pixels, read_yolo_labels
from tasks.data.formats.yolo_writing import write_yolo
from tasks.data.images import image_sizes

_LOOKED_AT = 200  # lines of a split, to see what they hold


def recognise(tree: Tree) -> bool:
    return find_description(tree) is not None


def near_miss(tree: Tree) -> str | None:
    if not has_labels(tree):
        return None
    return "looks like YOLO's label files, but nothing names their classes: add classes.txt, a name a line"


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read a description (a YAML file with `names` and `train`, darknet's obj.data, or a list of classes beside folders
    called train, val and test) and the label file of each image: labels/.../NAME.txt for images/.../NAME.jpg, one
    beside the image, or the one of its name.

    A line is "class x y width height", centre and size as shares of the image, or "class x y x y x y ...", a
    polygon whose extent is the box. An image without a file has no objects.

    Raises:
        InputError: a file is missing or unreadable, or a line is not of this kind, its class unknown or its
            coordinates not shares.
    """
    name = find_description(tree)
    assert name is not None
    described = read_description(tree, name, findings)
    label_files = _label_files(tree, described.images, described.lists)
    splits = {
        split: _read_split(tree, images, label_files, described.classes, annotations == "polygons", findings)
        for split, images in described.images.items()
    }
    _report_unlisted(label_files, described.lists, findings)
    layout = "YOLO (oriented boxes as the boxes that enclose them)" if described.oriented else "YOLO"
    return DataSet(layout, described.classes, splits, tuple(findings.found))


def _read_split(
    tree: Tree,
    images: Sequence[Path],
    label_files: Mapping[Path, Path],
    classes: tuple[str, ...],
    polygons: bool,
    findings: Findings,
) -> SampleTable:
    base = Path(os.path.commonpath([path.parent for path in images]))
    found = image_sizes(base, [path.relative_to(base).as_posix() for path in images], [None] * len(images), findings)
    sizes = {image: size for image, size in zip(images, found, strict=True) if size is not None}
    names = [path.relative_to(base).as_posix() for path in sizes]
    objects, places = Objects(), []
    first_lines: list[tuple[float, ...]] = []
    for position, (image, size) in enumerate(sizes.items()):
        labels = label_files[image]
        items = read_yolo_labels(labels, image, classes, findings) if labels.is_file() else []
        first_lines += [item.values for item in items[: _LOOKED_AT - len(first_lines)]]
        for item in items:
            where = f"{labels}: line {item.line} ({classes[item.label]})"
            box, polygon = in_pixels(item.values, size)
            objects.add(position, box, item.label)
            places.append(Place(where, labels, item.line - 1))
            if polygons:
                if polygon is None:
                    findings.add("polygon-broken", f"{where} is a box; masks need polygons in every line")
                objects.segmentations.append(msgspec.json.encode([polygon or []]))
    if are_key_points(first_lines):
        raise LayoutError(
            f"{tree.folder}: the label files hold a box and key points in each line, which no head here learns; export "
            "the boxes alone, or polygons"
        )
    return build_table(names, base, list(sizes.values()), objects, places.__getitem__, findings=findings)


def _label_files(tree: Tree, images: Mapping[str, Sequence[Path]], lists: frozenset[str]) -> dict[Path, Path]:
    """The label file of each image, whether it is there or not."""
    folder = Path(os.path.abspath(tree.folder))
    texts: dict[str, list[Path]] | None = None
    found: dict[Path, Path] = {}
    for image in (path for paths in images.values() for path in paths):
        usual, beside = _usual_label_file(image, folder), image.with_suffix(".txt")
        found[image] = usual
        if usual.is_file():
            continue
        if beside.is_file():
            found[image] = beside
            continue
        if usual.parent.is_dir() and usual.parent != image.parent:
            continue
        if texts is None:  # labels in a folder that the rule does not lead to
            texts = {}
            for path in tree.paths((".txt",)):
                if path.rpartition("/")[2] not in lists:
                    texts.setdefault(stem_of(path), []).append(tree.folder / path)
        if len(candidates := _nearest(texts.get(image.stem, []), image)) == 1:
            found[image] = candidates[0]
    return found


def _nearest(candidates: Sequence[Path], image: Path) -> list[Path]:
    """Those that share the longest part of their path with the image, or name its split as it does."""
    if len(candidates) < 2:
        return list(candidates)
    own = set(image.parent.parts)
    shared = [len(own & set(path.parent.parts)) for path in candidates]
    return [path for path, count in zip(candidates, shared, strict=True) if count == max(shared)]


def _usual_label_file(image: Path, folder: Path) -> Path:
    """labels/ in the place of the last images/ on the image's path; of an image in the data folder, from there on."""
    base = folder if image.is_relative_to(folder) else Path(image.anchor)
    parts = list(image.relative_to(base).parts)
    for number in range(len(parts) - 2, -1, -1):
        if parts[number] == "images":
            parts[number] = "labels"
            break
    return base.joinpath(*parts).with_suffix(".txt")


def _report_unlisted(label_files: Mapping[Path, Path], lists: frozenset[str], findings: Findings) -> None:
    used = set(label_files.values())
    for folder in sorted({path.parent for path in used}):
        for path in sorted(folder.glob("*.txt")):
            if path not in used and path.name not in lists:
                findings.add("label-unlisted", f"{path}: there is no image of this name")


FORMAT = Format(
    key="yolo",
    name="YOLO",
    layout="a YAML file with names and train, or classes.txt and a .txt file an image",
    annotations=("boxes", "polygons"),
    precedence=3,
    recognise=recognise,
    read=read,
    suffixes=(".yaml", ".yml", ".txt", ".data"),
    near_miss=near_miss,
    write=write_yolo,
)
