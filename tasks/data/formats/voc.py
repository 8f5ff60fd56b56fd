"""Pascal VOC: an XML file an image, in whatever folders; splits from lists (ImageSets/Main), folders, or none."""

import os
from collections.abc import Sequence
from pathlib import Path

from backbones import InputError, nearest
from tasks.config import Annotations, DataSettings, DetectionData
from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import Findings, Place
from tasks.data.formats.format import Format
from tasks.data.formats.tree import Tree
from tasks.data.formats.voc_files import VocPair, find_pairs, split_files, xml_folders
from tasks.data.formats.voc_writing import write_voc
from tasks.data.formats.voc_xml import VocAnnotation, read_voc_xml
from tasks.data.images import check_image_files


def recognise(tree: Tree) -> bool:
    return bool(xml_folders(tree))


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read every XML file with the image of its name: in the same folder, or in the one that shares most names.

    The splits are those of lists of names (ImageSets/Main/{train,val,test}.txt), else of folders called so, else all
    is train. Classes are the names in train, in alphabetical order. Coordinates are taken as they stand: x_max
    and y_max are the far edge, as labelImg writes them. With `voc_one_based` they count pixels from 1 and include the
    last, as in the original challenge: 1 is taken from x_min and y_min. Objects marked "difficult" are objects.

    Raises:
        InputError: a file is missing or unreadable, or val or test has a class that train lacks.
    """
    assert isinstance(settings, DetectionData)
    pairs = find_pairs(tree)
    chosen = split_files(tree, pairs, findings)
    found: dict[str, list[VocAnnotation]] = {}
    for split, files in chosen.items():
        found[split] = []
        for annotation, image in files:
            with findings.skipping():
                found[split].append(read_voc_xml(annotation, image))
    classes = tuple(sorted({item.name for annotation in found["train"] for item in annotation.objects}))
    if not classes:
        raise InputError(f"{tree.folder}: no object in any of the {len(found['train'])} training annotations")
    splits = {split: _index(items, classes, settings.voc_one_based, findings) for split, items in found.items()}
    _report_unlisted(tree, pairs, {annotation for files in chosen.values() for annotation, _ in files}, findings)
    return DataSet("Pascal VOC", classes, splits, tuple(findings.found))


def _index(
    annotations: Sequence[VocAnnotation], classes: tuple[str, ...], one_based: bool, findings: Findings
) -> SampleTable:
    images = Path(os.path.commonpath([annotation.image.parent for annotation in annotations] or [Path()]))
    names = [annotation.image.relative_to(images).as_posix() for annotation in annotations]
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


def _report_unlisted(tree: Tree, pairs: Sequence[VocPair], used: set[Path], findings: Findings) -> None:
    left_out = {finding.image.stem for finding in findings.found if finding.image is not None}  # listed, and left out
    for path in sorted(tree.folder / pair.annotation for pair in pairs):
        if path not in used and path.stem not in left_out:
            findings.add("label-unlisted", f"{path}: no split lists it")


FORMAT = Format(
    key="voc",
    name="Pascal VOC",
    layout=".xml files beside their images, or in Annotations/ with JPEGImages/ and ImageSets/Main/",
    annotations=("boxes",),
    precedence=4,
    recognise=recognise,
    read=read,
    settings=("voc_one_based",),
    alphabetical=True,
    write=write_voc,
)
