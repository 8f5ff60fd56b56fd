"""Boxes, all of a split at once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.data.doctor.classes import Counts
from tasks.data.faults import Fault
from tasks.data.index import Samples
from tasks.data.samples import DataSet
from tasks.data.transforms import LONG_SIDE_RATIO

_TINY = 4.0  # pixels, a cell of a pyramid's finest level
_WHOLE = 0.99  # of the picture


def count_objects(data: DataSet[Any]) -> Counts:
    """How many objects of each class the splits have; crowds are none."""
    return {
        split: np.bincount(samples.labels[~samples.crowd], minlength=len(data.classes))
        for split, samples in data.splits.items()
        if isinstance(samples, Samples)
    }


def object_faults(
    samples: Samples, classes: Sequence[str], image_size: int, detections_per_image: int
) -> Iterator[Fault]:
    """Whole-picture boxes, objects too small or too many, empty pictures, crowds: a line a picture."""
    on = np.repeat(np.arange(len(samples)), np.diff(samples.first))
    sides = samples.boxes[:, 2:] - samples.boxes[:, :2]
    objects = ~samples.crowd
    tiny = objects & ((sides * _scales(samples.sizes, image_size)[on, None]).min(axis=1) < _TINY)
    whole = objects & (sides.prod(axis=1) >= _WHOLE * samples.sizes[on].prod(axis=1))
    many = np.bincount(on[objects], minlength=len(samples)) > detections_per_image
    texts = {
        "box-tiny": (tiny, f"objects with a side under {_TINY:g} px at --image-size {image_size}: {{}}"),
        "box-whole-picture": (whole, "boxes as large as the picture: {}"),
        "objects-many": (objects & many[on], f"objects, of which at most {detections_per_image} are found: {{}}"),
        "crowd": (samples.crowd, "crowd regions: {}"),
    }
    for check, (affected, text) in texts.items():
        numbers = np.flatnonzero(affected)
        for position, count in zip(*np.unique(on[numbers], return_counts=True), strict=True):
            first = int(numbers[np.searchsorted(on[numbers], position)])
            told = f" (the first: {classes[samples.labels[first]]}, {_plain(samples.boxes[first])})"
            picture = picture_of(samples, int(position))
            line = f"{picture or samples.names[int(position)]}: {text.format(count)}{told}"
            yield Fault(check, line, picture, tuple(samples.boxes[first].tolist()))
    for position in np.flatnonzero(np.diff(samples.first) == 0).tolist():
        picture = picture_of(samples, position)
        yield Fault("picture-empty", f"{picture or samples.names[position]}: has no objects", picture)


def picture_of(samples: Samples, position: int) -> Path | None:
    """The file of a picture, where it is one."""
    return samples.pictures / samples.names[position] if isinstance(samples.pictures, Path) else None


def _scales(sizes: NDArray[np.int32], image_size: int) -> NDArray[np.float64]:
    """By how much training enlarges each picture."""
    return np.minimum(image_size / sizes.min(axis=1), LONG_SIDE_RATIO * image_size / sizes.max(axis=1))


def _plain(box: NDArray[np.float64]) -> str:
    return " ".join(f"{value:g}" for value in box)
