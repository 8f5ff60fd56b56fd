"""What can be corrected without a doubt, in new files beside the old ones."""

import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backbones import InputError
from tasks.data import Finding

_REMOVED = ("box-no-area", "box-outside", "box-twice", "annotation-orphan")
_NUMBERED = ("annotation-id-twice", "annotation-id-zero")


def fix(findings: Iterable[Finding], folders: Sequence[Path], output: Path) -> list[Path]:
    """Write the annotation files again without boxes that have no area or lie outside, without second copies, and
    without annotations of images that are not listed; COCO annotations with ids used twice or 0 are numbered anew.

    Args:
        folders: of the data set; nothing in them is changed.
        output: takes the new files under their paths in their folder; of several folders, in one of its name.

    Returns:
        The new files; a file without such findings gets none.

    Raises:
        InputError: a new file would replace another, or cannot be written.
    """
    places: dict[Path, dict[int, str]] = {}
    for finding in findings:
        if is_correctable(finding) and finding.place is not None and finding.place.file is not None:
            removed = places.setdefault(finding.place.file, {})
            if finding.check in _REMOVED:
                removed[finding.place.position] = finding.check
    targets = {file: _target(file, folders, output) for file in places}
    for target in targets.values():
        if target.exists() or list(targets.values()).count(target) > 1:
            raise InputError(f"{target}: exists already; give --fix a new folder")
    try:
        for file, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            _WRITERS[file.suffix](file, places[file], target)
    except OSError as error:
        raise InputError(f"{output}: cannot be written to: {error.strerror}") from None
    return sorted(targets.values())


def is_correctable(finding: Finding) -> bool:
    """Whether it is of a kind that is corrected, in the formats of which files are."""
    return finding.check in (*_REMOVED, *_NUMBERED)


def _target(file: Path, folders: Sequence[Path], output: Path) -> Path:
    # Not resolved: a part of the data set may be a link.
    path = Path(os.path.abspath(file))
    folder = next(folder for folder in map(os.path.abspath, folders) if path.is_relative_to(folder))
    return (output / Path(folder).name if len(folders) > 1 else output) / path.relative_to(folder)


def _coco(file: Path, removed: Mapping[int, str], target: Path) -> None:
    content: dict[str, Any] = json.loads(file.read_bytes())
    kept = []
    seen = set()
    for position, item in enumerate(content["annotations"]):
        # The same box may be around two objects: only a polygon decides.
        key = _frozen([item.get(name) for name in ("image_id", "category_id", "bbox", "segmentation")])
        why = removed.get(position)
        if why is not None and (why != "box-twice" or key in seen):
            continue
        seen.add(key)
        kept.append(item)
    ids = {item["id"] for item in kept}
    if len(ids) < len(kept) or 0 in ids:
        kept = [item | {"id": number} for number, item in enumerate(kept, start=1)]
    target.write_text(json.dumps(content | {"annotations": kept}), encoding="utf-8")


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return _frozen(sorted(value.items()))
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _voc(file: Path, removed: Mapping[int, str], target: Path) -> None:
    tree = ElementTree.parse(file)
    objects = [(parent, child) for parent in tree.iter() for child in parent if child.tag == "object"]
    for position in removed:
        parent, child = objects[position]
        parent.remove(child)
    tree.write(target, encoding="utf-8")


def _yolo(file: Path, removed: Mapping[int, str], target: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = (line for position, line in enumerate(lines) if position not in removed)
    target.write_text("".join(kept), encoding="utf-8")


_WRITERS = {".json": _coco, ".xml": _voc, ".txt": _yolo}
