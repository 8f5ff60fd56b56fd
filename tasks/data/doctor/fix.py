"""What can be mended without a doubt, in new files beside the old ones."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backbones.errors import InputError
from tasks.data.faults import Fault

_REMOVED = ("box-no-area", "box-outside", "box-twice", "annotation-orphan")
_NUMBERED = ("annotation-id-twice", "annotation-id-zero")


def fix(faults: Iterable[Fault], folder: Path, output: Path) -> list[Path]:
    """Write the annotation files again without boxes that have no area or lie outside, without second copies, and
    without annotations of pictures that are not listed; COCO annotations with ids used twice or 0 are numbered anew.

    Args:
        folder: the data set; nothing in it is changed.
        output: takes the new files under their paths in `folder`.

    Returns:
        The new files; a file without such faults gets none.

    Raises:
        InputError: a new file would replace an old one.
    """
    places: dict[Path, set[int]] = {}
    for fault in faults:
        if fault.check in (*_REMOVED, *_NUMBERED) and fault.place is not None and fault.place.file is not None:
            removed = places.setdefault(fault.place.file, set())
            if fault.check in _REMOVED:
                removed.add(fault.place.position)
    targets = {file: output / file.resolve().relative_to(folder.resolve()) for file in places}
    for target in targets.values():
        if target.exists():
            raise InputError(f"{target}: exists already; give --fix a new folder")
    for file, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        _WRITERS[file.suffix](file, places[file], target)
    return sorted(targets.values())


def _coco(file: Path, removed: set[int], target: Path) -> None:
    content: dict[str, Any] = json.loads(file.read_bytes())
    annotations = [item for position, item in enumerate(content["annotations"]) if position not in removed]
    ids = {item["id"] for item in annotations}
    if len(ids) < len(annotations) or 0 in ids:
        annotations = [item | {"id": number} for number, item in enumerate(annotations, start=1)]
    target.write_text(json.dumps(content | {"annotations": annotations}), encoding="utf-8")


def _voc(file: Path, removed: set[int], target: Path) -> None:
    tree = ElementTree.parse(file)
    objects = [(parent, child) for parent in tree.iter() for child in parent if child.tag == "object"]
    for position in removed:
        parent, child = objects[position]
        parent.remove(child)
    tree.write(target, encoding="utf-8")


def _yolo(file: Path, removed: set[int], target: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = (line for position, line in enumerate(lines) if position not in removed)
    target.write_text("".join(kept), encoding="utf-8")


_WRITERS = {".json": _coco, ".xml": _voc, ".txt": _yolo}
