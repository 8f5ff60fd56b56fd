"""A YOLO label file: the boxes or polygons of an image, a line each."""

from dataclasses import dataclass
from pathlib import Path

from tasks.data.findings import Findings

_BOX = 4
_LEAST_POLYGON = 6
_SLACK = 1e-3  # by which rounded shares may leave the image


@dataclass(frozen=True)
class YoloObject:
    label: int
    values: tuple[float, ...]
    line: int


def read_yolo_labels(path: Path, image: Path, classes: tuple[str, ...], findings: Findings) -> list[YoloObject]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        findings.add("annotation-unreadable", f"{path}: cannot be read: {error}", image=image)
        return []
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_object(line, number, classes))
        except _LineError as error:
            findings.add(error.check, f"{path}: line {number}: {error}", image=image)
    return found


class _LineError(Exception):
    def __init__(self, check: str, reason: str) -> None:
        super().__init__(reason)
        self.check = check


def _object(line: str, number: int, classes: tuple[str, ...]) -> YoloObject:
    try:
        label, *values = (float(value) for value in line.split())
    except ValueError:
        raise _LineError("annotation-unreadable", f"{line.strip()!r} is not made of numbers") from None
    if len(values) != _BOX and (len(values) < _LEAST_POLYGON or len(values) % 2):
        reason = f"{len(values)} numbers after the class; wanted are 4, or a polygon's pairs"
        raise _LineError("annotation-unreadable", reason)
    if label not in range(len(classes)):
        counted = "; does this file count from 1?" if label == len(classes) else ""
        reason = f"the class is {label:g}; classes are numbered from 0 to {len(classes) - 1} ({classes[-1]}){counted}"
        raise _LineError("class-unknown", reason)
    if not all(-_SLACK <= value <= 1 + _SLACK for value in values):  # which NaN is not either
        reason = f"{line.strip()!r} has coordinates that are no shares of the image, 0 to 1"
        raise _LineError("box-not-a-number", reason)
    return YoloObject(int(label), tuple(values), number)


def in_pixels(
    values: tuple[float, ...], size: tuple[float, float]
) -> tuple[tuple[float, float, float, float], list[float] | None]:
    """The box in pixels, and the polygon if it is one."""
    width, height = size
    if len(values) == _BOX:
        x, y, w, h = values[0] * width, values[1] * height, values[2] * width, values[3] * height
        return (x - w / 2, y - h / 2, x + w / 2, y + h / 2), None
    polygon = [value * (height if number % 2 else width) for number, value in enumerate(values)]
    return (min(polygon[::2]), min(polygon[1::2]), max(polygon[::2]), max(polygon[1::2])), polygon
