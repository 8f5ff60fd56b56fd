"""What can be corrected without a doubt, in new files beside the old ones."""

import json
import os
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backbones import InputError
from tasks.data import CHECKS, Finding, read_text, read_xml

_REMOVED = ("box-no-area", "box-outside", "box-twice", "annotation-orphan")
_NUMBERED = ("annotation-id-twice", "annotation-id-zero")
_TURNED = "turned"  # a box whose corners are swapped: it is put right


@dataclass(frozen=True)
class Correction:
    """A new file.

    Attributes:
        done: how many objects were removed, for each check, or put right.
    """

    file: Path
    done: Mapping[str, int]

    def __str__(self) -> str:
        parts = [f"{count} {CHECKS[check].what} removed" for check, count in self.done.items() if check in _REMOVED]
        if turned := self.done.get(_TURNED):
            parts.append(f"{turned} boxes with swapped corners put right")
        parts += [f"{CHECKS[check].what} numbered anew" for check in _NUMBERED if check in self.done]
        return f"{self.file}: {', '.join(parts) or 'nothing removed'}"


def fix(findings: Iterable[Finding], folders: Sequence[Path], output: Path) -> list[Correction]:
    """Write the annotation files again without boxes that have no area or lie outside, without second copies, and
    without annotations of images that are not listed; boxes with swapped corners are put right; COCO annotations with
    ids used twice or 0 are numbered anew.

    Args:
        folders: of the data set; nothing in them is changed.
        output: takes the new files under their paths in their folder; of several folders, in one of its name. Files
            that lie elsewhere come under their whole path.

    Returns:
        The new files; a file without such findings gets none.

    Raises:
        InputError: a new file would replace another, or cannot be written.
    """
    places: dict[Path, dict[int, str]] = {}
    for finding in findings:
        if is_corrected(finding) and finding.place is not None and finding.place.file is not None:
            wrong = places.setdefault(finding.place.file, {})
            if finding.check in _REMOVED:
                wrong[finding.place.position] = _TURNED if _is_turned(finding) else finding.check
    targets = {file: _target(file, folders, output) for file in places}
    counts = Counter(targets.values())
    for target in targets.values():
        if target.exists() or counts[target] > 1:
            raise InputError(f"{target}: exists already; give --fix a new folder")
    written = []
    try:
        for file, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            written.append(Correction(target, _WRITERS[file.suffix.lower()](file, places[file], target)))
    except OSError as error:
        raise InputError(f"{output}: cannot be written to: {error.strerror}") from None
    return sorted(written, key=lambda one: one.file)


def is_correctable(finding: Finding) -> bool:
    """Whether it is of a kind that is corrected, in the formats of which files are."""
    return finding.check in (*_REMOVED, *_NUMBERED)


def is_corrected(finding: Finding) -> bool:
    """Whether `fix` corrects it."""
    return is_correctable(finding) and finding.place is not None and finding.place.file is not None


def _is_turned(finding: Finding) -> bool:
    if finding.check != "box-no-area" or finding.box is None:
        return False
    x_min, y_min, x_max, y_max = finding.box
    return x_min != x_max and y_min != y_max


def _target(file: Path, folders: Sequence[Path], output: Path) -> Path:
    # Not resolved: a part of the data set may be a link.
    path = Path(os.path.abspath(file))
    for folder in map(Path, map(os.path.abspath, folders)):
        if path.is_relative_to(folder):
            return (output / folder.name if len(folders) > 1 else output) / path.relative_to(folder)
    return output / path.relative_to(path.anchor)


def _coco(file: Path, wrong: Mapping[int, str], target: Path) -> Counter[str]:
    content: dict[str, Any] = json.loads(read_text(file))
    kept = []
    seen = set()
    done: Counter[str] = Counter()
    for position, item in enumerate(content["annotations"]):
        # The same box may be around two objects: only a polygon decides.
        key = _frozen([item.get(name) for name in ("image_id", "category_id", "bbox", "segmentation")])
        why = wrong.get(position)
        if why == _TURNED:
            x, y, width, height = map(float, item["bbox"])
            item = item | {"bbox": [min(x, x + width), min(y, y + height), abs(width), abs(height)]}
            done[why] += 1
        elif why is not None and (why != "box-twice" or key in seen):
            done[why] += 1
            continue
        seen.add(key)
        kept.append(item)
    ids = [item["id"] for item in kept if "id" in item]
    if len(set(ids)) < len(ids) or 0 in ids:
        done["annotation-id-zero" if 0 in ids else "annotation-id-twice"] += 1
        kept = [item | {"id": number} for number, item in enumerate(kept, start=1)]
    target.write_text(json.dumps(content | {"annotations": kept}), encoding="utf-8")
    return done


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return _frozen(sorted(value.items()))
    return tuple(map(_frozen, value)) if isinstance(value, (list, tuple)) else value


def _voc(file: Path, wrong: Mapping[int, str], target: Path) -> Counter[str]:
    tree = ElementTree.ElementTree(read_xml(file))
    objects = [(parent, child) for parent in tree.iter() for child in parent if child.tag == "object"]
    for position, why in wrong.items():
        parent, child = objects[position]
        if why == _TURNED:
            _put_right(child)
        else:
            parent.remove(child)
    tree.write(target, encoding="utf-8")
    return Counter(wrong.values())


def _put_right(item: ElementTree.Element) -> None:
    for axis in "xy":
        low, high = (item.find(f"bndbox/{axis}{end}") for end in ("min", "max"))
        if low is not None and high is not None and float(low.text or 0) > float(high.text or 0):
            low.text, high.text = high.text, low.text


def _yolo(file: Path, wrong: Mapping[int, str], target: Path) -> Counter[str]:
    lines = read_text(file).splitlines(keepends=True)
    kept: list[str] = []
    done: Counter[str] = Counter()
    for position, line in enumerate(lines):
        why = wrong.get(position)
        # The same box may be around two polygons: only equal lines are second copies.
        if why is not None and (why != "box-twice" or line.strip() in {other.strip() for other in kept}):
            done[why] += 1
        else:
            kept.append(line)
    target.write_text("".join(kept), encoding="utf-8")
    return done


_WRITERS: dict[str, Callable[[Path, Mapping[int, str], Path], Counter[str]]] = {
    ".json": _coco,
    ".xml": _voc,
    ".txt": _yolo,
}
