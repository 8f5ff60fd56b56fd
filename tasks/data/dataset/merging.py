"""Several data sets as one."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from backbones import InputError
from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import Findings

_SPLITS = ("train", "val", "test")


def report_partial(
    parts: Sequence[DataSet[Any]],
    folders: Sequence[str],
    keep: Collection[str],
    rename: Mapping[str, str],
    findings: Findings,
) -> None:
    """Find folders that do not label a class which another one does: what is of it on their images is background there.

    Args:
        folders: of each part.
        keep, rename: which classes are to be learnt, and under which names.
    """
    labelled = [_labelled(part, keep, rename) for part in parts]
    every = set().union(*labelled)
    for folder, names in zip(folders, labelled, strict=True):
        if lacking := sorted(every - names):
            line = (
                f"{folder}: has no {', '.join(lacking)}, which another folder labels: where its images show such, they "
                "train as background, and the class is found less often; label them, or leave it out by data.keep"
            )
            findings.add("class-partial", line)


def _labelled(part: DataSet[Any], keep: Collection[str], rename: Mapping[str, str]) -> set[str]:
    names = part.classes
    if isinstance(part.splits["train"], SampleTable):  # masks are not read for this
        names = tuple(names[label] for label in part.splits["train"].label_set())
    return {new for name in names if (new := rename.get(name, name)) in keep or not keep}


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
