"""What a data format says of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backbones import InputError
from tasks.config import Annotations, DataSettings
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import Findings

Reader = Callable[[Path, DataSettings, Annotations, Findings], DataSet[Any]]


class LayoutError(InputError):
    """What was asked for is not a data set of a known layout, or has not the annotations that are needed."""


@dataclass(frozen=True)
class Format:
    """A data format; each file of this room that reads one has its own under the name FORMAT.

    Attributes:
        name: as a person calls it.
        layout: what a folder of it looks like, for messages.
        annotations: what it can hold.
        precedence: where several recognise a folder, the lowest reads it.
        recognise: whether a folder is one, from a look at it.
        read: (folder, settings, wanted annotations, findings) -> the data set. What it finds goes to the findings;
            it raises an `InputError` for what cannot be read.
        settings: the data settings that are for this format alone.
    """

    name: str
    layout: str
    annotations: tuple[Annotations, ...]
    precedence: int
    recognise: Callable[[Path], bool]
    read: Reader
    settings: tuple[str, ...] = ()
