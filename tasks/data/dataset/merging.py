"""Several data sets as one."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from backbones import InputError
from tasks.data.dataset.splits import DataSet

_SPLITS = ("train", "val", "test")


def merge(parts: Sequence[DataSet[Any]]) -> DataSet[Any]:
    """The images of all of them under one class map: the first one's classes, then what each of the others adds.

    Images are named by their paths from the folder that holds all.

    Raises:
        InputError: an image is in two of them.
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
            splits[split] = found[0].concatenated(found[1:])
            for name, following in pairwise(splits[split].names):
                if name == following:
                    raise InputError(f"{name}: is in two of the merged folders' {split} splits; give each folder once")
    findings = parts[-1].findings  # one collector has gone through all readers
    return DataSet(" and ".join(part.layout for part in parts), classes, splits, findings)
