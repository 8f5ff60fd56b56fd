"""COCO JSON: a file a split, beside folders of images, for boxes and for masks."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from backbones import InputError, nearest
from tasks.config import Annotations, DataSettings
from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.tree import Tree
from tasks.data.formats.coco_files import find_files, locate, near_miss
from tasks.data.formats.coco_json import CocoAnnotation, CocoFile, CocoImage, Id, read_coco_json
from tasks.data.formats.coco_writing import write_coco
from tasks.data.formats.format import Format
from tasks.data.images import Size, image_sizes
from tasks.data.masks.polygons import extent

# A COCO file has a million annotations: what is done to each is done by functions in C.
_ID, _IMAGE_ID, _CATEGORY_ID = attrgetter("id"), attrgetter("image_id"), attrgetter("category_id")
_BBOX, _AREA, _IS_CROWD = attrgetter("bbox"), attrgetter("area"), attrgetter("iscrowd")


def recognise(tree: Tree) -> bool:
    return bool(find_files(tree))


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read the annotation file of each split: its name or its folder says which (instances_train2017.json,
    valid/_annotations.coco.json); one file alone is train.

    The classes are train's categories in the order of their ids, gaps closed. Images lie in the folder
    of the file's name (instances_train2017.json: train2017/), in that of the split, in images/, beside the file, or
    wherever a file of the name is.

    Raises:
        InputError: a file is missing or unreadable, its parts disagree, or val or test has a class that
            train lacks.
    """
    files = {split: tree.folder / path for split, path in find_files(tree).items()}
    if "train" not in files:
        raise InputError(
            f"{tree.folder}: has no train split; wanted is annotations/instances_train*.json, here there is "
            f"{', '.join(str(path.relative_to(tree.folder)) for path in files.values())}"
        )
    classes: tuple[str, ...] = ()
    category_ids: dict[str, tuple[int, ...]] = {}
    splits: dict[str, SampleTable] = {}
    for split, path in files.items():
        content = read_coco_json(path)
        categories = _categories(path, content, findings)
        if not classes:
            classes = tuple(categories.values())
        labels = _labels(path, categories, classes, findings)
        numbers = {name: number for number, name in categories.items()}
        category_ids[split] = tuple(numbers.get(name, -1) for name in classes)
        splits[split] = _read_split(
            tree, path, content, labels, settings.allow_outside, annotations == "polygons", findings
        )
    return DataSet("COCO", classes, splits, tuple(findings.found), category_ids)


def _categories(path: Path, content: CocoFile, findings: Findings) -> dict[int, str]:
    listed = sorted(content.categories, key=lambda item: item.id)
    used = set(map(_CATEGORY_ID, content.annotations))
    groups = {item.supercategory for item in listed if item.supercategory != item.name}
    names = Counter(item.name for item in listed)
    # Exports write a category for the group of the others, which nothing is of, perhaps with the name of one of them.
    kept = [item for item in listed if item.id in used or not (item.name in groups or names[item.name] > 1)]
    kept = kept if any(item.id in used for item in kept) else listed
    categories = {item.id: item.name for item in kept}
    if len(set(categories.values())) < len(kept):
        findings.add("class-twice", f"{path}: two categories share an id or a name")
    if not categories:
        raise InputError(f"{path}: lists no categories")
    return categories


def _labels(path: Path, categories: dict[int, str], classes: tuple[str, ...], findings: Findings) -> dict[int, int]:
    for name in categories.values():
        if name not in classes:
            findings.add("class-unknown", f"{path}: train has no class {name!r}{nearest(name, classes)}")
    return {category: classes.index(name) for category, name in categories.items() if name in classes}


def _read_split(
    tree: Tree,
    path: Path,
    content: CocoFile,
    labels: dict[int, int],
    allow_outside: bool,
    polygons: bool,
    findings: Findings,
) -> SampleTable:
    if not content.images:
        raise InputError(f"{path}: lists no images")
    root, listed = locate(tree, path, content.images, allow_outside)
    images, sizes = _images(path, root, listed, findings)
    names = [image.file_name for image in images]
    place = {image.id: position for position, image in enumerate(images)}
    annotations, positions = _annotations(path, content, place, labels, findings)
    objects = Objects(
        image=list(map(place.__getitem__, map(_IMAGE_ID, annotations))),
        boxes=_boxes(path, annotations),
        labels=list(map(labels.__getitem__, map(_CATEGORY_ID, annotations))),
        areas=np.array(list(map(_AREA, annotations)), np.float64),  # None becomes NaN
        crowd=[value in (1, "1") for value in map(_IS_CROWD, annotations)],
        segmentations=[bytes(item.segmentation) for item in annotations] if polygons else [],
    )

    def place_of(number: int) -> Place:
        item = annotations[number]
        text = f"{path}: {names[place[item.image_id]]}: annotation {item.id}"
        return Place(text, path, positions[number])

    ids = [msgspec.json.encode(image.id) for image in images]
    return build_table(names, root, sizes, objects, place_of, ids, findings)


def _images(path: Path, root: Path, images: list[CocoImage], findings: Findings) -> tuple[list[CocoImage], list[Size]]:
    """Each image once, and the sizes."""
    ids: set[Id] = set()
    names: set[str] = set()
    kept = []
    for image in images:
        if image.id in ids or image.file_name in names:
            what = f"two images share the {'id' if image.id in ids else 'file name'}"
            findings.add("image-listed-twice", f"{path}: {what} {image.id if image.id in ids else image.file_name}")
            continue
        ids.add(image.id)
        names.add(image.file_name)
        kept.append(image)
    annotated = [(image.width, image.height) if image.width and image.height else None for image in kept]
    sizes = image_sizes(root, [image.file_name for image in kept], annotated, findings)
    known = [(image, size) for image, size in zip(kept, sizes, strict=True) if size is not None]
    return [image for image, _ in known], [size for _, size in known]


def _annotations(
    path: Path, content: CocoFile, place: dict[Id, int], labels: dict[int, int], findings: Findings
) -> tuple[list[CocoAnnotation], Sequence[int]]:
    """Those of a listed image and class, and where they stand in the file."""
    items = content.annotations
    positions: Sequence[int] = range(len(items))
    if not (set(map(_IMAGE_ID, items)) <= place.keys() and set(map(_CATEGORY_ID, items)) <= labels.keys()):
        positions = [k for k, item in enumerate(items) if item.image_id in place and item.category_id in labels]
        listed, known = {image.id for image in content.images}, {item.id for item in content.categories}
        for position, item in enumerate(items):
            here = Place(f"{path}: annotation {item.id}", path, position)
            if item.image_id not in listed:
                line = f"{here.text} is for image {item.image_id}, which is not listed"
                findings.add("annotation-orphan", line, place=here)
            elif item.category_id not in known:
                line = f"{here.text} has category {item.category_id}, which is not listed"
                findings.add("class-unknown", line, place=here)
    _report_ids(path, [number for number in map(_ID, items) if number is not None], findings)
    return [items[position] for position in positions] if len(positions) < len(items) else items, positions


def _report_ids(path: Path, ids: list[Id], findings: Findings) -> None:
    if 0 in ids:
        position = ids.index(0)
        place = Place(f"{path}: annotation 0", path, position)
        findings.add("annotation-id-zero", f"{path}: annotation {position + 1} of the file has the id 0", place=place)
    if len(set(ids)) == len(ids):
        return
    for number, count in Counter(ids).items():
        if count > 1:
            place = Place(f"{path}: annotation {number}", path, ids.index(number))
            findings.add("annotation-id-twice", f"{path}: {count} annotations have the id {number}", place=place)


def _boxes(path: Path, annotations: Sequence[CocoAnnotation]) -> NDArray[np.float64]:
    """(n, 4), x_min y_min x_max y_max."""
    given = list(map(_BBOX, annotations))
    if None in given:
        given = [item.bbox or _enclosing(path, item) for item in annotations]
    boxes = np.fromiter(chain.from_iterable(given), np.float64, 4 * len(given)).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _enclosing(path: Path, item: CocoAnnotation) -> tuple[float, float, float, float]:
    """(x, y, width, height) around a segmentation that has no box beside it."""
    try:
        box = extent(bytes(item.segmentation))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        line = f"{path}: annotation {item.id} of image {item.image_id}: not a segmentation ({error})"
        raise DataError(Finding("polygon-broken", line)) from None
    if box is None:
        line = f"{path}: annotation {item.id} of image {item.image_id} has neither a bbox nor a segmentation"
        raise DataError(Finding("annotation-unreadable", line))
    return box[0], box[1], box[2] - box[0], box[3] - box[1]


FORMAT = Format(
    key="coco",
    name="COCO",
    layout="a .json file with images, annotations and categories, and folders of images",
    annotations=("boxes", "polygons"),
    precedence=2,
    recognise=recognise,
    read=read,
    suffixes=(".json",),
    near_miss=near_miss,
    write=write_coco,
)
