"""A YOLO label file: the boxes or polygons of an image, a line each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.data.findings import Findings
from tasks.data.folders.texts import read_lines

_BOX = 4
_LEAST_POLYGON = 6
_FOUR_CORNERS = 8  # a polygon, never a box with two key points
_LEAST_LINES = 3  # to know key points by
_SLACK = 1e-3  # by which rounded shares may leave the image


@dataclass(frozen=True)
class YoloObject:
    label: int
    values: tuple[float, ...]
    line: int


def read_yolo_labels(path: Path, image: Path, classes: tuple[str, ...], findings: Findings) -> list[YoloObject]:
    lines: list[str] = []
    with findings.skipping():
        lines = read_lines(path)
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
        if len(values) == _BOX + 1:
            reason += " (is the last a track's id, or a confidence? leave it out)"
        raise _LineError("annotation-unreadable", reason)
    if label not in range(len(classes)):
        counted = "; does this file count from 1?" if label == len(classes) else ""
        reason = f"the class is {label:g}; classes are numbered from 0 to {len(classes) - 1} ({classes[-1]}){counted}"
        raise _LineError("class-unknown", reason)
    if not all(-_SLACK <= value <= 1 + _SLACK for value in values):  # which NaN is not either
        reason = f"{line.strip()!r} has coordinates that are no shares of the image, 0 to 1"
        if len(values) > _BOX and _has_key_points(tuple(values), 3):
            reason = (
                "a box with key points and whether they are seen, which no head here learns; export the boxes alone"
            )
        raise _LineError("box-not-a-number", reason)
    return YoloObject(int(label), tuple(values), number)


def are_key_points(lines: Sequence[tuple[float, ...]]) -> bool:
    """Whether lines that could be polygons are all a box with key points behind it: as many in each, of two numbers, or
    of three with a visibility, each in the box or at 0, 0."""
    lines = [values for values in lines if len(values) > _FOUR_CORNERS]
    if len(lines) < _LEAST_LINES or len({len(values) for values in lines}) > 1:
        return False
    return any(all(_has_key_points(values, dimensions) for values in lines) for dimensions in (2, 3))


def _has_key_points(values: tuple[float, ...], dimensions: int) -> bool:
    (x, y, width, height), rest = values[:_BOX], values[_BOX:]
    in_image = width / 2 <= min(x, 1 - x) + _SLACK and height / 2 <= min(y, 1 - y) + _SLACK
    if not in_image or values[:2] == values[-2:]:  # which the corners of a polygon seldom are, and closed rings are
        return False
    if len(rest) % dimensions or any(value not in (0, 1, 2) for value in rest[2::dimensions] if dimensions > 2):
        return False
    points = zip(rest[::dimensions], rest[1::dimensions], strict=True)
    return all(
        (across, down) == (0, 0) or (2 * abs(across - x) <= width + _SLACK and 2 * abs(down - y) <= height + _SLACK)
        for across, down in points
    )


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
