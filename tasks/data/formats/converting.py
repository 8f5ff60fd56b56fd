"""A data set of any format written as another."""

from pathlib import Path
from typing import Any

from backbones import InputError
from tasks.config import Annotations, DetectionData, SegmentationData
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Findings
from tasks.data.folders.tree import LayoutError, Tree
from tasks.data.folders.writing import Lost, new_folder
from tasks.data.formats.format import Format
from tasks.data.formats.opening import all_formats, format_of

_MASKS = "masks"


def convert(source: Path, target: Path, to: str, findings: Findings) -> tuple[DataSet[Any], list[str]]:
    """Read a folder of any known layout and write it, its images with it, as one of the formats that are written.

    Args:
        target: a new folder.
        to: the key of a format.
        findings: takes what is found wrong on the way.

    Returns:
        What was read, and a line for each thing that the format has no room for.

    Raises:
        InputError: the source cannot be read, the target is not empty, or the format is not written.
    """
    written = {one.key: one for one in all_formats() if one.write is not None}
    if to not in written:
        raise InputError(f"--to {to!r}: is not written (written are {', '.join(sorted(written))})")
    tree = Tree.of(source)
    data = _read(tree, to, findings)
    new_folder(target)
    lost = Lost()
    write = written[to].write
    assert write is not None
    try:
        write(data, target, lost)
    except OSError as error:
        raise InputError(f"{error.filename or target}: cannot be written: {error.strerror}") from None
    return data, lost.lines()


def _read(tree: Tree, to: str, findings: Findings) -> DataSet[Any]:
    """With masks or polygons where there are any."""
    kinds: list[Annotations] = ["polygons", "boxes", "masks"]
    masks = _owner(tree, "masks")
    if to == _MASKS and masks is not None and masks.key == _MASKS:
        kinds = ["masks"]
    for kind in kinds:
        form = _owner(tree, kind)
        if form is None:
            continue
        settings = SegmentationData(path=str(tree.folder)) if kind == "masks" else DetectionData(path=str(tree.folder))
        noted = len(findings.found)
        try:
            return form.read(tree, settings, kind, findings)
        except DataError as error:
            if kind != "polygons" or error.finding.check != "polygon-broken":
                raise
            del findings.found[noted:]  # boxes are read instead
    raise LayoutError(f"{tree.folder}: found {tree.counts()}: no layout that is known here")


def _owner(tree: Tree, kind: Annotations) -> Format | None:
    try:
        return format_of(tree, kind)
    except LayoutError:
        return None
