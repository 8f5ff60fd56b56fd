"""Masks: every pixel counted."""

from dataclasses import replace
from typing import Any

import numpy as np

from tasks.data import DataError, DataSet, Finding, MaskFile
from tasks.doctor.check_classes import Counts
from tasks.doctor.check_images import Progress

_LOSSY = (".jpg", ".jpeg")
_VALUES = 256


def mask_findings(data: DataSet[Any], progress: Progress) -> tuple[Counts, Counts, list[Finding]]:
    """Stray values and odd masks.

    Returns:
        The pixels of each class in each split, the images that show it, and what was found.
    """
    found: list[Finding] = []
    pixels = {split: np.zeros(len(data.classes), np.int64) for split in data.splits}
    images = {split: np.zeros(len(data.classes), np.int64) for split in data.splits}
    for split, samples in data.splits.items():
        for sample in progress(samples, f"masks of {split}"):
            image, mask = sample.file, sample.mask
            where = mask.path if isinstance(mask, MaskFile) else image or sample.name
            if isinstance(mask, MaskFile) and mask.path.suffix.lower() in _LOSSY:
                found.append(Finding("mask-lossy", f"{mask.path}", image))
            try:
                counts = np.bincount(mask.labels().reshape(-1), minlength=_VALUES)
            except DataError as error:
                found.append(replace(error.finding, image=image))
                continue
            counts = counts[: len(data.classes)]  # and IGNORE, the last value, counts nowhere
            pixels[split] += counts
            images[split] += counts > 0
            if not counts.any():
                found.append(Finding("mask-ignored", f"{where}: every pixel is ignored", image))
            elif (counts > 0).sum() == 1:
                name = data.classes[int(counts.argmax())]
                found.append(Finding("mask-one-class", f"{where}: every pixel is {name}", image))
    return pixels, images, found
