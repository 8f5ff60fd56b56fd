"""From objects as an annotation tells them to the flat arrays of a split, their boxes checked on the way."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.faults import Faults, Place
from tasks.data.index import Samples, Texts
from tasks.data.samples import Rendered

# In pixels. albumentations works with shares of the picture in float32, where thinner boxes vanish.
_LEAST_SIDE = 0.01
_UNKNOWN = float("nan")
_OUTSIDE = 1.0  # pixels by which rounding may push a box out of its picture
_LARGER = 1.05  # and an area over its box's


@dataclass
class Objects:
    """Objects as an annotation tells them, one an entry of each list, in any order.

    Attributes:
        picture: which one it is on, a position.
        boxes: x_min, y_min, x_max, y_max in pixels.
        labels: positions in the classes.
        areas: in square pixels, or NaN for the box's.
        crowd: whether it is a region to ignore.
        segmentations: outlines as COCO writes them, JSON text; empty where there are none.
    """

    picture: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    segmentations: list[bytes] = field(default_factory=list)

    def add(
        self,
        picture: int,
        box: tuple[float, float, float, float],
        label: int,
        area: float = _UNKNOWN,
        crowd: bool = False,
    ) -> None:
        self.picture.append(picture)
        self.boxes.append(box)
        self.labels.append(label)
        self.areas.append(area)
        self.crowd.append(crowd)


def index_samples(
    names: Sequence[str],
    pictures: Path | Sequence[Rendered],
    sizes: Sequence[tuple[float, float]],
    objects: Objects,
    told: Callable[[int], Place],
    ids: Sequence[bytes] = (),
    faults: Faults | None = None,
) -> Samples:
    """Samples in the order of the pictures' names, their boxes clipped to the pictures; those without area are dropped.

    Args:
        names, sizes: of the pictures; sizes are (width, height).
        pictures: the folder that they lie in, or what draws each.
        told: where object k is written.
        ids: of the pictures, JSON text, where they have any.
        faults: takes what is found.

    Raises:
        InputError: a coordinate is not a finite number, and `faults` does not keep such.
    """
    faults = faults or Faults()
    order = np.array(sorted(range(len(names)), key=lambda position: names[position]), np.int64)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    extent = np.asarray(sizes, np.float64).reshape(-1, 2)
    boxes = np.asarray(objects.boxes, np.float64).reshape(-1, 4)
    on = np.asarray(objects.picture, np.int64)
    labels, areas = np.asarray(objects.labels, np.int64), np.asarray(objects.areas, np.float64)
    crowd = np.asarray(objects.crowd, np.bool_)

    def report(check: str, number: int, text: str) -> None:
        place, box = told(number), boxes[number]
        picture = pictures / names[on[number]] if isinstance(pictures, Path) else None
        line = f"{place.text} {text}: {' '.join(f'{value:g}' for value in box)}"
        faults.add(check, line, picture=picture, box=tuple(box.tolist()), place=place)

    clipped, reasons = _cleaned(np.where(np.isfinite(boxes), boxes, np.nan), extent[on])
    for number in np.flatnonzero(reasons > 0).tolist():
        check, text = _REASONS[reasons[number]]
        report(check, number, text)
    useful = ~np.isnan(clipped[:, 0])
    _report_odd(report, on, np.where(useful[:, None], boxes, np.nan), labels, areas, crowd)
    kept = np.flatnonzero(useful)
    kept = kept[np.argsort(place[on[kept]], kind="stable")]
    boxes = clipped[kept]
    areas = areas[kept]
    return Samples(
        names=Texts(names[position].encode("utf-8", "surrogatepass") for position in order),
        pictures=pictures if isinstance(pictures, Path) else tuple(pictures[position] for position in order),
        sizes=extent[order].astype(np.int32),
        first=np.searchsorted(place[on[kept]], np.arange(len(names) + 1)).astype(np.int64),
        boxes=boxes,
        labels=labels[kept],
        areas=np.where(np.isnan(areas), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1), areas),
        crowd=crowd[kept],
        segmentations=Texts(objects.segmentations[number] for number in kept) if objects.segmentations else None,
        ids=Texts(ids[position] for position in order) if ids else None,
    )


# What is wrong with a box, by number; the last one is kept.
_REASONS = (
    ("", ""),
    ("box-not-a-number", "has coordinates that are no numbers (correct or remove it)"),
    ("box-no-area", "has no area"),
    ("box-outside", "lies outside the picture"),
    ("box-outside", "has next to no area in the picture"),
    ("box-clipped", "reaches outside the picture"),
)


def _cleaned(boxes: NDArray[np.float64], extent: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The boxes clipped to their pictures, NaN where they are of no use, and the number of the reason."""
    clipped = np.clip(boxes, 0, np.tile(extent, 2))
    sides, whole = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    faulty = [
        np.isnan(boxes).any(axis=1),
        (whole <= 0).any(axis=1),
        (sides <= 0).any(axis=1),
        (sides < _LEAST_SIDE).any(axis=1),
        (np.abs(clipped - boxes) > _OUTSIDE).any(axis=1),
    ]
    reasons = np.select(faulty, range(1, len(_REASONS)), default=0)
    clipped[(reasons > 0) & (reasons < len(_REASONS) - 1)] = np.nan
    return clipped, reasons


def _report_odd(
    report: Callable[[str, int, str], None],
    on: NDArray[np.int64],
    boxes: NDArray[np.float64],
    labels: NDArray[np.int64],
    areas: NDArray[np.float64],
    crowd: NDArray[np.bool_],
) -> None:
    for first, again in _twins(on, boxes, labels):
        if not crowd[first] and not crowd[again]:
            same = labels[first] == labels[again]
            report("box-twice" if same else "box-two-classes", again, "is there twice" if same else "has two classes")
    own = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for number in np.flatnonzero(~crowd & ((areas <= 0) | (areas > own * _LARGER + 1)) & (own > 0)).tolist():
        report("area-odd", number, f"has the area {areas[number]:g}")


def _twins(on: NDArray[np.int64], boxes: NDArray[np.float64], labels: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Pairs of objects with the same box on the same picture, those of a class next to each other."""
    # One number for each: sorting by five columns would take longer than reading the file.
    keys = on.astype(np.uint64)
    for column in np.ascontiguousarray(boxes.T).view(np.uint64):
        keys = keys * np.uint64(0x9E3779B97F4A7C15) ^ column
    order = np.lexsort((labels, keys))
    for position in np.flatnonzero(keys[order][1:] == keys[order][:-1]).tolist():
        first, again = int(order[position]), int(order[position + 1])
        if on[first] == on[again] and (boxes[first] == boxes[again]).all():
            yield first, again
