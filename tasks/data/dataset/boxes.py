"""What can be wrong with boxes, all of a split at once."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

# A check's name, the number of the object, and what is said of it.
Report = Callable[[str, int, str], None]

# In pixels. albumentations works with shares of the image in float32, where thinner boxes vanish.
_LEAST_SIDE = 0.01
_OUTSIDE = 1.0  # pixels by which rounding may push a box out of its image
_LARGER = 1.05  # and an area over its box's

# What is wrong with a box, by number; the last one is kept.
_REASONS = (
    ("", ""),
    ("box-not-a-number", "has coordinates that are no numbers (correct or remove it)"),
    ("box-no-area", "has no area"),
    ("box-outside", "lies outside the image"),
    ("box-outside", "has next to no area in the image"),
    ("box-clipped", "reaches outside the image"),
)


def clean_boxes(boxes: NDArray[np.float64], extent: NDArray[np.float64], report: Report) -> NDArray[np.float64]:
    """The boxes (n, 4) clipped to their images, NaN where they are of no use.

    Args:
        extent: (n, 2), width and height of each box's image.
        report: is called for every box that is not as it should be.
    """
    boxes = np.where(np.isfinite(boxes), boxes, np.nan)
    clipped = np.clip(boxes, 0, np.tile(extent, 2))
    sides, whole = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    wrong = [
        np.isnan(boxes).any(axis=1),
        (whole <= 0).any(axis=1),
        (sides <= 0).any(axis=1),
        (sides < _LEAST_SIDE).any(axis=1),
        (np.abs(clipped - boxes) > _OUTSIDE).any(axis=1),
    ]
    reasons = np.select(wrong, range(1, len(_REASONS)), default=0)
    clipped[(reasons > 0) & (reasons < len(_REASONS) - 1)] = np.nan
    for number in np.flatnonzero(reasons > 0).tolist():
        check, text = _REASONS[reasons[number]]
        report(check, number, text)
    return clipped


def report_odd(
    on: NDArray[np.int64],
    boxes: NDArray[np.float64],
    labels: NDArray[np.int64],
    areas: NDArray[np.float64],
    crowd: NDArray[np.bool_],
    report: Report,
) -> None:
    """Report objects that are annotated twice, and areas that do not fit their boxes.

    Args:
        on: (n,), the image of each object.
        boxes: (n, 4), NaN where they are of no use.
    """
    for first, again in _duplicates(on, boxes, labels):
        if not crowd[first] and not crowd[again]:
            same = labels[first] == labels[again]
            report("box-twice" if same else "box-two-classes", again, "is there twice" if same else "has two classes")
    own = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for number in np.flatnonzero(~crowd & ((areas <= 0) | (areas > own * _LARGER + 1)) & (own > 0)).tolist():
        report("area-odd", number, f"has the area {areas[number]:g}")


def _duplicates(
    on: NDArray[np.int64], boxes: NDArray[np.float64], labels: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """Pairs of objects with the same box on the same image, those of a class next to each other."""
    # One number for each: sorting by five columns would take longer than reading the file.
    keys = on.astype(np.uint64)
    for column in np.ascontiguousarray(boxes.T).view(np.uint64):
        keys = keys * np.uint64(0x9E3779B97F4A7C15) ^ column
    order = np.lexsort((labels, keys))
    for position in np.flatnonzero(keys[order][1:] == keys[order][:-1]).tolist():
        first, again = int(order[position]), int(order[position + 1])
        if on[first] == on[again] and (boxes[first] == boxes[again]).all():
            yield first, again
