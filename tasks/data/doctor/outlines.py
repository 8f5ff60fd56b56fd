"""Outlines against their boxes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tasks.data.doctor.pictures import Watch
from tasks.data.faults import DataError, Fault
from tasks.data.masks import MaskedSample
from tasks.data.objects import drawn_from, object_mask
from tasks.data.samples import DataSet, Sample

_LEAST_IOU = 0.5


def outline_faults(data: DataSet[Any], watch: Watch) -> Iterator[Fault]:
    """Outlines that are broken, missing, or elsewhere than their boxes; also where masks are drawn from them."""
    for split, samples in data.splits.items():
        for sample in watch(samples, f"outlines of {split}"):
            drawn = drawn_from(sample.mask) if isinstance(sample, MaskedSample) else sample
            if drawn is not None:
                yield from _of_sample(drawn)


def _of_sample(sample: Sample) -> Iterator[Fault]:
    picture = sample.file
    for number, (text, box) in enumerate(zip(sample.segmentations, sample.boxes, strict=True)):
        where, found = f"{sample.where}: object {number + 1}", tuple(box.tolist())
        try:
            mask = object_mask(text, sample.size, where)
        except DataError as error:
            yield replace(error.fault, picture=picture, box=found)
            continue
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            yield Fault("outline-missing", f"{where} has no outline", picture, found)
            continue
        extent = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
        if not sample.crowd[number] and _iou(extent, box) < _LEAST_IOU:
            line = f"{where} has its outline at {extent.tolist()}, its box at {list(found)}"
            yield Fault("outline-off-box", line, picture, found)


def _iou(one: Any, other: Any) -> float:
    sides = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)
    shared = sides.prod()
    return float(shared / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared))
