"""Tables of comma-separated values, by the names of their columns."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tasks.data.findings import DataError, Finding
from tasks.data.folders.texts import encoding_of
from tasks.data.folders.tree import Tree

SUFFIXES = (".csv", ".tsv")
_SEPARATORS = ",;\t"
_LOOKED_AT = 1 << 16  # bytes of a file, for its encoding and its first line
_SHARE = 1.01  # what rounding makes of 1


@dataclass(frozen=True)
class Table:
    """A file with the cells of its first line.

    Attributes:
        line: the number of the first line, from 1; blank ones, and a spreadsheet's "sep=;", may stand before it.
    """

    file: Path
    first: tuple[str, ...]
    line: int
    separator: str
    encoding: str

    @cached_property
    def columns(self) -> dict[str, int]:
        """The positions of the columns, their names in lower case, without underscores and blanks."""
        names = [name.strip().lower().replace("_", "").replace(" ", "") for name in self.first]
        return {name: names.index(name) for name in names}

    def rows(self, *, with_first: bool = False) -> Iterator[tuple[int, list[str]]]:
        """The rows with the numbers of their lines, from 1, their cells without blanks around; those that are empty
        left out.

        Raises:
            DataError: the file cannot be read.
        """
        try:
            with self.file.open(encoding=self.encoding, newline="") as text:
                reader = csv.reader(text, delimiter=self.separator)
                for row in reader:
                    number = reader.line_num
                    if (number > self.line or (with_first and number == self.line)) and any(map(str.strip, row)):
                        yield number, [cell.strip() for cell in row]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(Finding("annotation-unreadable", f"{self.file}: cannot be read: {error}")) from None

    def number(self, row: Sequence[str], column: str, position: int) -> float:
        """Raises:
        ValueError: there is none, and says so.
        """
        text = row[position] if position < len(row) else ""
        try:
            # Spreadsheets that separate cells by semicolons have commas in numbers.
            return float(text.replace(",", ".") if self.separator == ";" else text)
        except ValueError:
            raise ValueError(f"{column} is {text!r}, not a number") from None


def tables(tree: Tree, wanted: Callable[[Table], bool]) -> list[tuple[str, Table]]:
    """The tables of a folder that are wanted, with their paths from it."""
    paths = tree.files_that(SUFFIXES, lambda file: _is(table_of(file), wanted))
    found = ((path, table_of(tree.folder / path)) for path in paths)
    return [(path, table) for path, table in found if table is not None and wanted(table)]


def _is(table: Table | None, wanted: Callable[[Table], bool]) -> bool:
    return table is not None and wanted(table)


def table_of(file: Path) -> Table | None:
    """The file as a table, if its first line has several cells."""
    try:
        with file.open("rb") as raw:
            start = raw.read(_LOOKED_AT)
        # A character may be cut in two at the end.
        encoding = encoding_of(start[: start.rfind(b"\n") + 1] or start)
        lines = start.decode(encoding, errors="replace").splitlines()
        number, line = next(
            (number, line)
            for number, line in enumerate(lines, start=1)
            if line.strip() and not line.lower().startswith("sep=")
        )
        separator = max(_SEPARATORS, key=line.count)
        first = next(csv.reader([line], delimiter=separator), [])
    except (OSError, StopIteration, csv.Error):
        return None
    return Table(file, tuple(first), number, separator, encoding) if len(first) > 1 else None


def are_shares(file: Path, boxes: Sequence[tuple[int, Sequence[float]]]) -> bool:
    """Whether boxes are in shares of their images: none is above 1.

    Args:
        boxes: with the numbers of their lines.

    Raises:
        DataError: most are, and some are not.
    """
    beyond = [line for line, box in boxes if max(box) > _SHARE]
    if beyond and len(beyond) < len(boxes) / 2:
        line = (
            f"{file}: line {beyond[0]} has a corner beyond 1, but most of the table is between 0 and 1: pixels, or "
            "shares of the images?"
        )
        raise DataError(Finding("box-not-a-number", line))
    return bool(boxes) and not beyond
