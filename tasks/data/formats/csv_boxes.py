"""Tables of boxes as people write them: a row an object, image, corners and class in columns that are called so."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.config import Annotations, DataSettings
from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject, data_set
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.image_names import ImageNames
from tasks.data.folders.tables import SUFFIXES, Table, are_shares, tables
from tasks.data.folders.tree import Tree, split_named, suffix_of
from tasks.data.formats.format import Format
from tasks.data.images import IMAGE_SUFFIXES
from tasks.data.masks.regions import Box, Region

# In lower case, without underscores and blanks; of several that are there the first counts.
_IMAGE = ("filename", "filepath", "imagepath", "imgpath", "imagename", "imagefile", "image", "imageid", "img", "file")
_COLUMNS = {
    "image": (*_IMAGE, "path"),
    "xmin": ("xmin", "x0", "left", "minx", "bboxxmin", "bboxx1", "x1"),
    "ymin": ("ymin", "y0", "top", "miny", "bboxymin", "bboxy1", "y1"),
    "xmax": ("xmax", "right", "maxx", "bboxxmax", "bboxx2"),
    "ymax": ("ymax", "bottom", "maxy", "bboxymax", "bboxy2"),
}
_SECOND = {"xmax": ("x1", "x2"), "ymax": ("y1", "y2")}  # beside x0, and beside x1
_CLASS = ("classname", "labelname", "categoryname", "class", "label", "labels", "category", "name", "classid")
_OPTIONAL = {
    "class": _CLASS,
    "split": ("split", "set", "subset"),
    "width": ("width", "imagewidth"),
    "height": ("height", "imageheight"),
}
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_MORE_CORNERS = {"x": ("x3", "x4"), "y": ("y3", "y4")}
_WITHOUT_NAMES = ("image", *_CORNERS, "class")  # as keras-retinanet has it
_NOTHING = ("", "nan", "null", "none", "na")
_ONE_CLASS = "object"


@dataclass(frozen=True)
class _Row:
    line: int
    image: str
    name: str
    box: Box | None
    size: tuple[float, float] | None
    split: str | None


def recognise(tree: Tree) -> bool:
    return bool(tables(tree, _has_boxes))


def _has_boxes(table: Table) -> bool:
    return _columns(table).keys() >= _COLUMNS.keys()


def _columns(table: Table) -> dict[str, int]:
    """The position of each column that is there."""
    if _is_unnamed(table):
        return {name: position for position, name in enumerate(_WITHOUT_NAMES)}
    found: dict[str, int] = {}
    for column, names in {**_COLUMNS, **_OPTIONAL}.items():
        if column in _SECOND:
            first, second = _SECOND[column]
            names = (*names, first if f"{column[0]}0" in table.columns else second)
        called = next((name for name in names if name in table.columns), None)
        if called is not None:
            found[column] = table.columns[called]
    return found


def _is_unnamed(table: Table) -> bool:
    return len(table.first) == len(_WITHOUT_NAMES) and suffix_of(table.first[0]) in IMAGE_SUFFIXES


def near_miss(tree: Tree) -> str | None:
    for path, table in tables(tree, lambda table: True):
        missing = [column for column in _COLUMNS if column not in _columns(table)]
        found = ", ".join(name.strip() for name in table.first)
        return f"{path} has the columns {found} and none for {', '.join(missing)}"
    return None


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read every table with columns for image, xmin, ymin, xmax, ymax and class, by these names or the usual others;
    without names, in the order path, x1, y1, x2, y2, class. Without a class all are objects.

    Corners are in pixels, or shares of the image where none in the table is above 1. A row without corners is an image
    without objects. The split of an image is that of its row (split, set), else that of the table's name or folder,
    else that of its own folder, else train. Classes are the names in train, in alphabetical order.

    Raises:
        InputError: a table is unreadable, an image is missing or unreadable, or val or test has a class that train
            lacks.
    """
    images = ImageNames(tree, settings.allow_outside)
    splits: dict[str, list[AnnotatedImage]] = {}
    for path, table in tables(tree, _has_boxes):
        with findings.skipping():
            for split, one in _annotated(tree, path, table, images, findings):
                splits.setdefault(split, []).append(one)
    return data_set("CSV", tree.folder, splits, findings)


def _annotated(
    tree: Tree, path: str, table: Table, images: ImageNames, findings: Findings
) -> Iterator[tuple[str, AnnotatedImage]]:
    rows: dict[str, list[_Row]] = {}
    places: dict[tuple[str, str | None], str | None] = {}
    for row in _rows(table, findings):
        with findings.skipping():
            key = row.image, row.split
            if key not in places:
                places[key] = images.find(row.image, path, row.split)
            found = places[key]
            if found is None:
                line = f"{table.file}: line {row.line}: its image {row.image!r} is not there"
                raise DataError(Finding("image-missing", line, tree.folder / row.image))
            rows.setdefault(found, []).append(row)
    if not rows:
        raise DataError(Finding("annotation-unreadable", f"{table.file}: has no rows"))
    in_shares = are_shares(table.file, [(row.line, row.box) for items in rows.values() for row in items if row.box])
    for found, items in rows.items():
        objects = [_object(table.file, row, row.box) for row in items if row.box is not None]
        split = tree.split_of_image(found, path, items[0].split)
        yield split, AnnotatedImage(tree.folder / found, table.file, objects, items[0].size, in_shares)


def _object(file: Path, row: _Row, box: Box) -> AnnotatedObject:
    return AnnotatedObject(row.name, Region(box), Place(f"{file}: line {row.line} ({row.name})"))


def _rows(table: Table, findings: Findings) -> Iterator[_Row]:
    columns = _columns(table)
    for line, cells in table.rows(with_first=_is_unnamed(table)):
        with findings.skipping():
            try:
                row = _row(table, columns, line, cells)
            except ValueError as error:
                text = f"{table.file}: line {line}: {error}"
                raise DataError(Finding("annotation-unreadable", text)) from None
            yield row


def _row(table: Table, columns: Mapping[str, int], line: int, row: Sequence[str]) -> _Row:
    cells = {column: row[position] if position < len(row) else "" for column, position in columns.items()}
    if not cells["image"]:
        raise ValueError("names no image")
    box = None
    if any(cells[name].lower() not in _NOTHING for name in _CORNERS):
        x_min, y_min, x_max, y_max = (table.number(row, name, columns[name]) for name in _CORNERS)
        more = {
            axis: [table.number(row, name, table.columns[name]) for name in names if name in table.columns]
            for axis, names in _MORE_CORNERS.items()
        }
        across, down = [x_min, x_max, *more["x"]], [y_min, y_max, *more["y"]]
        # Two corners are as they stand: a box that is turned around is for the checks of all formats.
        box = (min(across), min(down), max(across), max(down)) if more["x"] else (x_min, y_min, x_max, y_max)
        if "class" in cells and not cells["class"]:
            raise ValueError("names no class")
    name = cells.get("class", _ONE_CLASS)
    return _Row(line, cells["image"], name, box, _size(table, columns, row, box), split_named(cells.get("split", "")))


def _size(table: Table, columns: Mapping[str, int], row: Sequence[str], box: Box | None) -> tuple[float, float] | None:
    """Of the image, if the row gives one and not that of the box."""
    if not {"width", "height"} <= columns.keys():
        return None
    with suppress(ValueError):
        width, height = (table.number(row, name, columns[name]) for name in ("width", "height"))
        is_of_box = box is not None and (width, height) == (box[2] - box[0], box[3] - box[1])
        is_of_image = box is None or (width >= box[2] and height >= box[3] and not is_of_box)
        return (width, height) if is_of_image and min(width, height) > 0 else None
    return None


FORMAT = Format(
    key="csv",
    name="CSV",
    layout="a .csv table with the columns image, xmin, ymin, xmax, ymax and class, and folders of images",
    annotations=("boxes",),
    precedence=10,
    recognise=recognise,
    read=read,
    suffixes=SUFFIXES,
    near_miss=near_miss,
    alphabetical=True,
)
