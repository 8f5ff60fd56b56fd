"""Several data sets as one."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from backbones.errors import InputError
from tasks.data.index import Samples, joined
from tasks.data.masks import MaskedSamples, joined_masks
from tasks.data.samples import DataSet, Split

_SPLITS = ("train", "val", "test")


def mixed(parts: Sequence[DataSet[Any]]) -> DataSet[Any]:
    """The pictures of all of them under one class map: the first one's classes, then what each of the others adds.

    Pictures are named by their paths from the folder that holds all.

    Raises:
        InputError: a picture is in two of them.
    """
    if len(parts) == 1:
        return parts[0]
    classes = tuple(dict.fromkeys(name for part in parts for name in part.classes))
    splits: dict[str, Any] = {}
    for split in _SPLITS:
        found = [
            part.splits[split].relabelled(np.array([classes.index(name) for name in part.classes], np.int64))
            for part in parts
            if split in part.splits
        ]
        if found:
            splits[split] = _joined(found)
            for name, following in pairwise(splits[split].names):
                if name == following:
                    raise InputError(f"{name}: is in two of the mixed folders' {split} splits; give each folder once")
    faults = parts[-1].faults  # one collector has gone through all readers
    return DataSet(" and ".join(part.layout for part in parts), classes, splits, faults)


def _joined(found: Sequence[Split[Any]]) -> Split[Any]:
    boxes = [samples for samples in found if isinstance(samples, Samples)]
    return (
        joined(boxes) if boxes else joined_masks([samples for samples in found if isinstance(samples, MaskedSamples)])
    )
