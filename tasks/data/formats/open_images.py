"""Open Images: a table of boxes a split, in shares of the images, and one of the classes' names."""

from collections.abc import Mapping

from backbones import InputError
from tasks.config import Annotations, DataSettings
from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject, data_set
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.image_names import ImageNames
from tasks.data.folders.tables import SUFFIXES, Table, are_shares, tables
from tasks.data.folders.tree import Tree
from tasks.data.formats.format import Format
from tasks.data.masks.regions import Region

_CORNERS = ("xmin", "xmax", "ymin", "ymax")
_NEEDED = ("imageid", "labelname", *_CORNERS)
_CODE_AND_NAME = 2
_CODES = ("/m/", "/g/", "/t/")  # what those of classes begin with


def recognise(tree: Tree) -> bool:
    return bool(tables(tree, _is_of_boxes))


def _is_of_boxes(table: Table) -> bool:
    return table.columns.keys() >= set(_NEEDED)


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read every table of boxes (train-annotations-bbox.csv) with the images that are there: usually few of those that
    it lists.

    The split is that of the file's name or folder, else that of the image's folder, else train. Codes of classes
    become names where a table of both is there (class-descriptions-boxable.csv). Groups are crowds. Classes are the
    names in train, in alphabetical order.

    Raises:
        InputError: a table is unreadable, none of its images is there, or val or test has a class that train lacks.
    """
    images, names = ImageNames(tree, settings.allow_outside), _class_names(tree)
    splits: dict[str, list[AnnotatedImage]] = {}
    absent = ""
    for path, table in tables(tree, _is_of_boxes):
        objects = _objects(table, path, images, names, findings)
        if not objects:
            example = next((row[table.columns["imageid"]] for _, row in table.rows()), "")
            absent = f"{table.file}: none of its images is there (found {tree.counts()}); the first is {example!r}"
        with findings.skipping():
            boxes = [(line, item.region.box) for items in objects.values() for line, item in items]
            in_shares = are_shares(table.file, boxes)
            for image, items in objects.items():
                found = [item for _, item in items]
                one = AnnotatedImage(tree.folder / image, table.file, found, in_shares=in_shares)
                splits.setdefault(tree.split_of_image(image, path), []).append(one)
    if not splits:
        raise InputError(absent)
    return data_set("Open Images", tree.folder, splits, findings)


def _objects(
    table: Table, path: str, images: ImageNames, names: Mapping[str, str], findings: Findings
) -> dict[str, list[tuple[int, AnnotatedObject]]]:
    """Those of each image that is there, with the numbers of their lines."""
    places: dict[str, str | None] = {}
    objects: dict[str, list[tuple[int, AnnotatedObject]]] = {}
    position = table.columns["imageid"]
    for line, row in table.rows():
        name = row[position] if position < len(row) else ""
        with findings.skipping():
            if name not in places:
                places[name] = images.find(name, path)
            image = places[name]
            if image is not None:
                objects.setdefault(image, []).append((line, _object(table, line, row, names)))
    return objects


def _object(table: Table, line: int, row: list[str], names: Mapping[str, str]) -> AnnotatedObject:
    columns = table.columns
    try:
        x_min, x_max, y_min, y_max = (table.number(row, name, columns[name]) for name in _CORNERS)
        label = row[columns["labelname"]]
    except (IndexError, ValueError) as error:
        reason = "is cut short" if isinstance(error, IndexError) else str(error)
        raise DataError(Finding("annotation-unreadable", f"{table.file}: line {line}: {reason}")) from None
    is_group = row[columns["isgroupof"]] == "1" if columns.get("isgroupof", len(row)) < len(row) else False
    name = names.get(label, label)
    place = Place(f"{table.file}: line {line} ({name})")
    return AnnotatedObject(name, Region((x_min, y_min, x_max, y_max)), place, crowd=is_group)


def _class_names(tree: Tree) -> dict[str, str]:
    """From the code of each class, where there is a table of two columns of them."""
    names: dict[str, str] = {}
    for _, table in tables(tree, lambda table: len(table.first) == _CODE_AND_NAME):
        rows = (row for _, row in table.rows(with_first=True))
        names.update({row[0]: row[1] for row in rows if len(row) == _CODE_AND_NAME and row[0].startswith(_CODES)})
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
