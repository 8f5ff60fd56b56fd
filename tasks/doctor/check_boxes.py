"""Boxes, all of a split at once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.data import LONG_SIDE_RATIO, DataSet, Finding, SampleTable
from tasks.doctor.check_classes import Counts

_TINY = 4.0  # pixels, a cell of a pyramid's finest level
_WHOLE = 0.99  # of the image


def count_objects(data: DataSet[Any]) -> Counts:
    """How many objects of each class the splits have; crowds are none."""
    return {
        split: np.bincount(samples.labels[~samples.crowd], minlength=len(data.classes))
        for split, samples in data.splits.items()
        if isinstance(samples, SampleTable)
    }


def object_findings(
    samples: SampleTable, classes: Sequence[str], image_size: int, detections_per_image: int
) -> Iterator[Finding]:
    """Whole-image boxes, objects too small or too many, empty images, crowds: a line an image."""
    on = np.repeat(np.arange(len(samples)), np.diff(samples.first))
    sides = samples.boxes[:, 2:] - samples.boxes[:, :2]
    objects = ~samples.crowd
    tiny = objects & ((sides * _scales(samples.sizes, image_size)[on, None]).min(axis=1) < _TINY)
    whole = objects & (sides.prod(axis=1) >= _WHOLE * samples.sizes[on].prod(axis=1))
    many = np.bincount(on[objects], minlength=len(samples)) > detections_per_image
    texts = {
        "box-tiny": (tiny, f"objects with a side under {_TINY:g} px at --image-size {image_size}: {{}}"),
        "box-whole-image": (whole, "boxes as large as the image: {}"),
        "objects-many": (objects & many[on], f"objects, of which at most {detections_per_image} are found: {{}}"),
        "crowd": (samples.crowd, "crowd regions: {}"),
    }
    for check, (affected, text) in texts.items():
        numbers = np.flatnonzero(affected)
        for position, count in zip(*np.unique(on[numbers], return_counts=True), strict=True):
            first = int(numbers[np.searchsorted(on[numbers], position)])
            example = f" (the first: {classes[samples.labels[first]]}, {_plain(samples.boxes[first])})"
            image = image_of(samples, int(position))
            line = f"{image or samples.names[int(position)]}: {text.format(count)}{example}"
            yield Finding(check, line, image, tuple(samples.boxes[first].tolist()))
    for position in np.flatnonzero(np.diff(samples.first) == 0).tolist():
        image = image_of(samples, position)
        yield Finding("image-empty", f"{image or samples.names[position]}: has no objects", image)


def image_of(samples: SampleTable, position: int) -> Path | None:
    """The file of an image, where it is one."""
    return samples.images / samples.names[position] if isinstance(samples.images, Path) else None


def _scales(sizes: NDArray[np.int32], image_size: int) -> NDArray[np.float64]:
    """By how much training enlarges each image."""
    return np.minimum(image_size / sizes.min(axis=1), LONG_SIDE_RATIO * image_size / sizes.max(axis=1))


def _plain(box: NDArray[np.float64]) -> str:
    return " ".join(f"{value:g}" for value in box)
