"""Tables of comma-separated values, by the names of their columns."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tasks.data.findings import DataError, Finding
from tasks.data.folders.texts import encoding_of

SUFFIXES = (".csv",)
_SEPARATORS = ",;\t"
_LOOKED_AT = 1 << 16  # bytes of a file, for its encoding
_LONGEST = 1 << 16  # characters of a first line


@dataclass(frozen=True)
class Table:
    """A file with the cells of its first line."""

    file: Path
    first: tuple[str, ...]
    separator: str
    encoding: str

    @cached_property
    def columns(self) -> dict[str, int]:
        """The positions of the columns, their names in lower case, without underscores and blanks."""
        names = [name.strip().lower().replace("_", "").replace(" ", "") for name in self.first]
        return {name: names.index(name) for name in names}

    def rows(self, *, with_first: bool = False) -> Iterator[tuple[int, list[str]]]:
        """The rows with the numbers of their lines, from 1; without those that are empty.

        Raises:
            DataError: the file cannot be read.
        """
        try:
            with self.file.open(encoding=self.encoding, newline="") as text:
                reader = csv.reader(text, delimiter=self.separator)
                for row in reader:
                    if row and (with_first or reader.line_num > 1):
                        yield reader.line_num, row
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(Finding("annotation-unreadable", f"{self.file}: cannot be read: {error}")) from None


def table_of(file: Path) -> Table | None:
    """The file as a table, if its first line has several cells."""
    try:
        with file.open("rb") as raw:
            start = raw.read(_LOOKED_AT)
        # A character may be cut in two at the end.
        encoding = encoding_of(start[: start.rfind(b"\n") + 1] or start)
        with file.open(encoding=encoding, newline="") as text:
            line = text.readline(_LONGEST)
        separator = max(_SEPARATORS, key=line.count)
        first = next(csv.reader([line], delimiter=separator), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    return Table(file, tuple(first), separator, encoding) if len(first) > 1 else None


def number_in(row: list[str], position: int, column: str) -> float:
    """Raises:
    ValueError: there is none, and says so.
    """
    text = row[position] if position < len(row) else ""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{column} is {text!r}, not a number") from None
