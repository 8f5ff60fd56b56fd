"""Open Images: a table of boxes a split, in shares of the images, and one of the classes' names."""

from collections.abc import Mapping
from pathlib import Path

from backbones import InputError
from tasks.config import Annotations, DataSettings
from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject, data_set
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.image_names import ImageNames
from tasks.data.folders.tables import SUFFIXES, Table, number_in, table_of
from tasks.data.folders.tree import Tree
from tasks.data.formats.format import Format
from tasks.data.masks.regions import Region

_CORNERS = ("xmin", "xmax", "ymin", "ymax")
_NEEDED = ("imageid", "labelname", *_CORNERS)
_CODES = ("/m/", "/g/", "/t/")  # what those of classes begin with


def recognise(tree: Tree) -> bool:
    return bool(tree.files_that(SUFFIXES, _is_table))


def _is_table(file: Path) -> bool:
    table = table_of(file)
    return table is not None and table.columns.keys() >= set(_NEEDED)


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read every table of boxes (train-annotations-bbox.csv) with the images that are there: usually few of those that
    it lists.

    The split is that of the file's name or folder, else that of the image's folder, else train. Codes of classes
    become names where a table of both is there (class-descriptions-boxable.csv). Groups are crowds. Classes are the
    names in train, in alphabetical order.

    Raises:
        InputError: a table is unreadable, none of its images is there, or val or test has a class that train lacks.
    """
    images, names = ImageNames(tree), _class_names(tree)
    splits: dict[str, list[AnnotatedImage]] = {}
    for path in tree.files_that(SUFFIXES, _is_table):
        table = table_of(tree.folder / path)
        if table is None or not _is_table(table.file):
            continue
        for image, objects in _objects(tree, path, table, images, names, findings).items():
            split = tree.split_of_file(path) or tree.split_of(image.rpartition("/")[0]) or "train"
            splits.setdefault(split, []).append(
                AnnotatedImage(tree.folder / image, table.file, objects, in_shares=True)
            )
    return data_set("Open Images", tree, splits, findings)


def _objects(
    tree: Tree, path: str, table: Table, images: ImageNames, names: Mapping[str, str], findings: Findings
) -> dict[str, list[AnnotatedObject]]:
    """Those of each image that is there."""
    places: dict[str, str | None] = {}
    objects: dict[str, list[AnnotatedObject]] = {}
    position = table.columns["imageid"]
    for line, row in table.rows():
        name = row[position] if position < len(row) else ""
        if name not in places:
            places[name] = images.find(name, path)
        image = places[name]
        if image is not None:
            with findings.skipping():
                objects.setdefault(image, []).append(_object(table, line, row, names))
    if not objects:
        raise InputError(
            f"{table.file}: none of its {len(places)} images is there (found {tree.counts()}); the first is "
            f"{next(iter(places), '')!r}"
        )
    return objects


def _object(table: Table, line: int, row: list[str], names: Mapping[str, str]) -> AnnotatedObject:
    columns = table.columns
    try:
        x_min, x_max, y_min, y_max = (number_in(row, columns[name], name) for name in _CORNERS)
        label = row[columns["labelname"]]
        group = "isgroupof" in columns and row[columns["isgroupof"]].strip() == "1"
    except (IndexError, ValueError) as error:
        raise DataError(Finding("annotation-unreadable", f"{table.file}: line {line}: {error}")) from None
    name = names.get(label, label)
    place = Place(f"{table.file}: line {line} ({name})")
    return AnnotatedObject(name, Region((x_min, y_min, x_max, y_max)), place, crowd=group)


def _class_names(tree: Tree) -> dict[str, str]:
    """From the code of each class, where there is a table of two columns of them."""
    names: dict[str, str] = {}
    for path in tree.paths(SUFFIXES):
        table = table_of(tree.folder / path)
        if table is not None and len(table.first) == len(("code", "name")):
            names.update({row[0]: row[1] for _, row in table.rows(with_first=True) if row[0].startswith(_CODES)})
    return names


FORMAT = Format(
    key="open_images",
    name="Open Images",
    layout="a .csv table of Open Images, and folders of images",
    annotations=("boxes",),
    precedence=9,
    recognise=recognise,
    read=read,
    suffixes=SUFFIXES,
    alphabetical=True,
)
