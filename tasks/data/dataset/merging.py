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
    """Find folders that do not label a class which another one does.

    Heads that have each class by itself learn nothing of the class there; to all others it is background.

    Args:
        folders: of each part.
        keep, rename: which classes are to be learnt, and under which names.
    """
    labelled = [
        {new for name in _labelled(part) if (new := rename.get(name, name)) in keep or not keep} for part in parts
    ]
    for folder, names in zip(folders, _lacking(labelled), strict=True):
        if names:
            line = (
                f"{folder}: has no {', '.join(sorted(names))}, which another folder labels: where its images show "
                "such, they train as background (with retinanet and fcos not at all) and are found less often, and on "
                "val what is found of them counts as wrong; label them, or leave them out by data.keep"
            )
            findings.add("class-partial", line)


def _labelled(part: DataSet[Any]) -> set[str]:
    train = part.splits["train"]
    if not isinstance(train, SampleTable):  # masks are not read for this
        return set(part.classes)
    return {part.classes[label] for label in train.label_set()}


def _lacking(labelled: Sequence[set[str]]) -> list[set[str]]:
    """Of each what others label. Where there is nothing at all, that is what the images are there for: they are of the
    background."""
    every = set().union(*labelled)
    return [every - names if names else set() for names in labelled]


def merge(parts: Sequence[DataSet[Any]]) -> DataSet[Any]:
    """The images of all of them under one class map: the first one's classes, then what each of the others adds.

    Images are named by their paths from the folder that holds all.

    Raises:
        InputError: an image is in two of them.
    """
    if len(parts) == 1:
        return parts[0]
    classes = tuple(dict.fromkeys(name for part in parts for name in part.classes))
    lacking = _lacking([_labelled(part) for part in parts])
    splits: dict[str, Any] = {}
    for split in _SPLITS:
        found = [
            _relabelled(part.splits[split], part.classes, classes, names if split == "train" else set())
            for part, names in zip(parts, lacking, strict=True)
            if split in part.splits
        ]
        if found:
            splits[split] = found[0].concatenated(found[1:])
            for name, following in pairwise(splits[split].names):
                if name == following:
                    raise InputError(f"{name}: is in two of the merged folders' {split} splits; give each folder once")
    findings = parts[-1].findings  # one collector has gone through all readers
    return DataSet(" and ".join(part.layout for part in parts), classes, splits, findings)


def _relabelled(split: Any, old: Sequence[str], new: Sequence[str], lacking: Collection[str]) -> Any:
    relabelled = split.relabelled(np.array([new.index(name) for name in old], np.int64))
    if not isinstance(relabelled, SampleTable):
        return relabelled
    return relabelled.without_labels([new.index(name) for name in lacking], len(new))
