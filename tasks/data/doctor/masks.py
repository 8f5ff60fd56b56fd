"""Masks: every pixel counted."""

from dataclasses import replace
from typing import Any

import numpy as np

from tasks.data.doctor.classes import Counts
from tasks.data.doctor.pictures import Watch
from tasks.data.faults import DataError, Fault
from tasks.data.masks import MaskFile
from tasks.data.samples import DataSet

_LOSSY = (".jpg", ".jpeg")
_VALUES = 256


def mask_faults(data: DataSet[Any], watch: Watch) -> tuple[Counts, Counts, list[Fault]]:
    """Stray values and odd masks.

    Returns:
        The pixels of each class in each split, the pictures that show it, and what was found.
    """
    found: list[Fault] = []
    pixels = {split: np.zeros(len(data.classes), np.int64) for split in data.splits}
    pictures = {split: np.zeros(len(data.classes), np.int64) for split in data.splits}
    for split, samples in data.splits.items():
        for sample in watch(samples, f"masks of {split}"):
            picture, mask = sample.file, sample.mask
            where = mask.path if isinstance(mask, MaskFile) else picture or sample.name
            if isinstance(mask, MaskFile) and mask.path.suffix.lower() in _LOSSY:
                found.append(Fault("mask-lossy", f"{mask.path}", picture))
            try:
                counts = np.bincount(mask.labels().reshape(-1), minlength=_VALUES)
            except DataError as error:
                found.append(replace(error.fault, picture=picture))
                continue
            counts = counts[: len(data.classes)]  # and IGNORE, the last value, counts nowhere
            pixels[split] += counts
            pictures[split] += counts > 0
            if not counts.any():
                found.append(Fault("mask-ignored", f"{where}: every pixel is ignored", picture))
            elif (counts > 0).sum() == 1:
                name = data.classes[int(counts.argmax())]
                found.append(Fault("mask-one-class", f"{where}: every pixel is {name}", picture))
    return pixels, pictures, found
