"""Pascal VOC: an XML file an image, in whatever folders; splits from lists (ImageSets/Main), folders, or none."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasks.config import Annotations, DataSettings, DetectionData
from tasks.data.dataset.annotated import AnnotatedImage, data_set
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import Findings
from tasks.data.folders.tree import Tree
from tasks.data.formats.format import Format
from tasks.data.formats.voc_files import VocPair, find_pairs, split_files, xml_folders
from tasks.data.formats.voc_writing import write_voc
from tasks.data.formats.voc_xml import read_voc_xml


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
    splits: dict[str, list[AnnotatedImage]] = {}
    for split, files in chosen.items():
        splits[split] = []
        for annotation, image in files:
            with findings.skipping():
                splits[split].append(read_voc_xml(annotation, image, settings.voc_one_based))
    data = data_set("Pascal VOC", tree.folder, splits, findings)
    _report_unlisted(tree, pairs, {annotation for files in chosen.values() for annotation, _ in files}, findings)
    return replace(data, findings=tuple(findings.found))


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
    suffixes=(".xml",),
    settings=("voc_one_based",),
    alphabetical=True,
    write=write_voc,
)
