"""Polygons against their boxes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tasks.data import DataError, DataSet, Finding, MaskedSample, Sample, object_mask, rasterized_from
from tasks.doctor.check_images import Progress

_LEAST_IOU = 0.5


def polygon_findings(data: DataSet[Any], progress: Progress) -> Iterator[Finding]:
    """Polygons that are broken, missing, or elsewhere than their boxes; also where masks are rasterized from them."""
    for split, samples in data.splits.items():
        for sample in progress(samples, f"polygons of {split}"):
            objects = rasterized_from(sample.mask) if isinstance(sample, MaskedSample) else sample
            if objects is not None:
                yield from _of_sample(objects)


def _of_sample(sample: Sample) -> Iterator[Finding]:
    image = sample.file
    for number, (text, box) in enumerate(zip(sample.segmentations, sample.boxes, strict=True)):
        where, found = f"{sample.where}: object {number + 1}", tuple(box.tolist())
        try:
            mask = object_mask(text, sample.size, where)
        except DataError as error:
            yield replace(error.finding, image=image, box=found)
            continue
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            continue  # the reader finds those that are missing; others are smaller than a pixel
        extent = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
        if not sample.crowd[number] and _iou(extent, box) < _LEAST_IOU:
            line = f"{where} has its polygon at {extent.tolist()}, its box at {list(found)}"
            yield Finding("polygon-off-box", line, image, found)


def _iou(one: Any, other: Any) -> float:
    sides = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)
    shared = sides.prod()
    return float(shared / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared))
