"""What a data format says of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.config import Annotations, DataSettings
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import Findings
from tasks.data.formats.tree import Tree
from tasks.data.formats.writing import Lost

Reader = Callable[[Tree, DataSettings, Annotations, Findings], DataSet[Any]]


@dataclass(frozen=True)
class Format:
    """A data format; each file of this room that reads one has its own under the name FORMAT.

    Attributes:
        key: as commands call it.
        name: as a person calls it.
        layout: what a folder of it looks like, for messages.
        annotations: what it can hold.
        precedence: where several recognise a folder, the lowest reads it.
        recognise: whether a folder is one, from a look at it.
        read: (tree, settings, wanted annotations, findings) -> the data set. What it finds goes to the findings;
            it raises an `InputError` for what cannot be read.
        settings: the data settings that are for this format alone.
        alphabetical: whether the classes are in alphabetical order.
        write: (data set, new folder, account of what is lost); None where it is only read.
    """

    key: str
    name: str
    layout: str
    annotations: tuple[Annotations, ...]
    precedence: int
    recognise: Callable[[Tree], bool]
    read: Reader
    settings: tuple[str, ...] = ()
    alphabetical: bool = False
    write: Callable[[DataSet[Any], Path, Lost], None] | None = None
