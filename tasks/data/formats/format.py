"""What a data format says of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.config import Annotations, DataSettings
from tasks.data.dataset.learnable import report_missing_polygons
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import Findings
from tasks.data.folders.tree import Tree
from tasks.data.folders.writing import Lost
from tasks.data.masks.rasterizing import as_masks

Reader = Callable[[Tree, DataSettings, Annotations, Findings], DataSet[Any]]


@dataclass(frozen=True)
class Format:
    """A data format; each file of this room that reads one has its own under the name FORMAT.

    Attributes:
        key: as commands call it.
        name: as a person calls it.
        layout: what a folder of it looks like, for messages.
        annotations: what it can hold; polygons can be taken as masks.
        precedence: where several recognise a folder, the lowest reads it.
        recognise: whether a folder is one, from a look at it.
        read: (tree, settings, wanted annotations, findings) -> the data set. What it finds goes to the findings;
            it raises an `InputError` for what cannot be read.
        suffixes: of the annotation files.
        near_miss: what a folder that has the look of one lacks, for messages.
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
    suffixes: tuple[str, ...] = ()
    near_miss: Callable[[Tree], str | None] = lambda tree: None
    settings: tuple[str, ...] = ()
    alphabetical: bool = False
    write: Callable[[DataSet[Any], Path, Lost], None] | None = None

    def gives(self, annotations: Annotations) -> bool:
        """Whether it has such annotations, or others that become them."""
        return annotations in self.annotations or (annotations == "masks" and "polygons" in self.annotations)

    def open(self, tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Any]:
        """Read a folder of it, polygons as masks where masks are wanted and it has none."""
        as_they_are = annotations in self.annotations
        data = self.read(tree, settings, annotations if as_they_are else "polygons", findings)
        if annotations == "polygons" or not as_they_are:
            report_missing_polygons(data, findings)
        return data if as_they_are else as_masks(data)
