"""Tables of boxes as people write them: a row an object, image, corners and class in columns that are called so."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backbones import InputError
from tasks.config import Annotations, DataSettings
from tasks.data.dataset.annotated import AnnotatedImage, AnnotatedObject, data_set
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.image_names import ImageNames
from tasks.data.folders.tables import SUFFIXES, Table, number_in, table_of
from tasks.data.folders.tree import Tree, split_named, suffix_of
from tasks.data.formats.format import Format
from tasks.data.images import IMAGE_SUFFIXES
from tasks.data.masks.regions import Box, Region

# In lower case, without underscores and blanks; of several that are there the first counts.
_COLUMNS = {
    "image": ("image", "filename", "imagename", "imagepath", "imagefile", "imageid", "file", "filepath", "path", "img"),
    "class": ("class", "classname", "label", "labelname", "category", "categoryname", "name"),
    "xmin": ("xmin", "x1", "left", "minx", "bboxxmin", "bboxx1"),
    "ymin": ("ymin", "y1", "top", "miny", "bboxymin", "bboxy1"),
    "xmax": ("xmax", "x2", "right", "maxx", "bboxxmax", "bboxx2"),
    "ymax": ("ymax", "y2", "bottom", "maxy", "bboxymax", "bboxy2"),
}
_OPTIONAL = {"split": ("split", "set", "subset"), "width": ("width", "imagewidth"), "height": ("height", "imageheight")}
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_WITHOUT_NAMES = ("image", *_CORNERS, "class")  # as keras-retinanet has it


@dataclass(frozen=True)
class _Row:
    line: int
    image: str
    name: str
    box: Box | None
    size: tuple[float, float] | None
    split: str | None


def recognise(tree: Tree) -> bool:
    return bool(tree.files_that(SUFFIXES, _is_table))


def _is_table(file: Path) -> bool:
    table = table_of(file)
    return table is not None and _columns(table) is not None


def near_miss(tree: Tree) -> str | None:
    for path in tree.paths(SUFFIXES):
        table = table_of(tree.folder / path)
        if table is not None:
            missing = [column for column, names in _COLUMNS.items() if not table.columns.keys() & set(names)]
            found = ", ".join(name.strip() for name in table.first)
            return f"{path} has the columns {found} and none for {', '.join(missing)}"
    return None


def _columns(table: Table) -> dict[str, int] | None:
    """The position of each column, if all that are needed are there."""
    if _is_unnamed(table):
        return {name: position for position, name in enumerate(_WITHOUT_NAMES)}
    found = {}
    for column, names in {**_COLUMNS, **_OPTIONAL}.items():
        called = next((name for name in names if name in table.columns), None)
        if called is not None:
            found[column] = table.columns[called]
    return found if found.keys() >= _COLUMNS.keys() else None


def _is_unnamed(table: Table) -> bool:
    return len(table.first) == len(_WITHOUT_NAMES) and suffix_of(table.first[0]) in IMAGE_SUFFIXES


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Read every table with columns for image, class, xmin, ymin, xmax and ymax, by these names or the usual others;
    without names, in the order path, x1, y1, x2, y2, class.

    Corners are in pixels, or shares of the image where none in the table is above 1. A row without corners and class
    is an image without objects. The split of an image is that of its row (split, set), else that of the table's name
    or folder, else that of its own folder, else train. Classes are the names in train, in alphabetical order.

    Raises:
        InputError: a table is unreadable, an image is missing or unreadable, or val or test has a class that train
            lacks.
    """
    images = ImageNames(tree)
    splits: dict[str, list[AnnotatedImage]] = {}
    for path in tree.files_that(SUFFIXES, _is_table):
        table = table_of(tree.folder / path)
        if table is not None and _is_table(table.file):
            for split, one in _annotated(tree, path, table, images, findings):
                splits.setdefault(split, []).append(one)
    return data_set("CSV", tree, splits, findings)


def _annotated(
    tree: Tree, path: str, table: Table, images: ImageNames, findings: Findings
) -> Iterator[tuple[str, AnnotatedImage]]:
    rows: dict[str, list[_Row]] = {}
    for row in _rows(table, findings):
        rows.setdefault(row.image, []).append(row)
    if not rows:
        raise InputError(f"{table.file}: has no rows")
    in_shares = all(max(row.box) <= 1 for items in rows.values() for row in items if row.box is not None)
    for name, items in rows.items():
        found = images.find(name, path)
        if found is None:
            line = f"{table.file}: line {items[0].line}: its image {name!r} is not there"
            findings.add("image-missing", line, image=tree.folder / name)
            continue
        objects = [_object(table.file, row, row.box) for row in items if row.box is not None]
        own = None if tree.one_split else items[0].split
        split = own or tree.split_of_file(path) or tree.split_of(found.rpartition("/")[0]) or "train"
        yield split, AnnotatedImage(tree.folder / found, table.file, objects, items[0].size, in_shares)


def _object(file: Path, row: _Row, box: Box) -> AnnotatedObject:
    return AnnotatedObject(row.name, Region(box), Place(f"{file}: line {row.line} ({row.name})"))


def _rows(table: Table, findings: Findings) -> Iterator[_Row]:
    columns = _columns(table)
    assert columns is not None
    for line, row in table.rows(with_first=_is_unnamed(table)):
        with findings.skipping():
            try:
                yield _row(columns, line, row)
            except (IndexError, ValueError) as error:
                text = f"{table.file}: line {line}: {error}"
                raise DataError(Finding("annotation-unreadable", text)) from None


def _row(columns: dict[str, int], line: int, row: list[str]) -> _Row:
    cells = {column: row[position].strip() if position < len(row) else "" for column, position in columns.items()}
    if not cells["image"]:
        raise ValueError("names no image")
    size = None
    if cells.get("width") and cells.get("height"):
        size = (number_in(row, columns["width"], "width"), number_in(row, columns["height"], "height"))
    box = None
    if any(cells[name] for name in (*_CORNERS, "class")):
        x_min, y_min, x_max, y_max = (number_in(row, columns[name], name) for name in _CORNERS)
        box = (x_min, y_min, x_max, y_max)
        if not cells["class"]:
            raise ValueError("names no class")
    return _Row(line, cells["image"], cells["class"], box, size, split_named(cells.get("split", "")))


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
