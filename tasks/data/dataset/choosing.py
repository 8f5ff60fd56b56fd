"""Classes left out, renamed and made one when a data set is read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backbones import InputError, nearest
from tasks.data.dataset.splits import DataSet

_LEFT_OUT = -1


def choose_classes(
    data: DataSet[Any], keep: Sequence[str], rename: Mapping[str, str], *, alphabetical: bool
) -> DataSet[Any]:
    """The data set as if its files said so: first renamed, where classes of one name become one, then those to keep.

    Objects of the others are none; in masks of classes their pixels are ignored. Images stay.

    Args:
        keep: names after renaming; none keeps all.
        alphabetical: the format's classes are in alphabetical order, and so are the new ones; otherwise a class takes
            the place of the first that has become it.

    Raises:
        InputError: there is no class of a name, or none is left.
    """
    for old in rename:
        _check(old, data.classes, "data.rename")
    named = [rename.get(name, name) for name in data.classes]
    for name in keep:
        _check(name, named, "data.keep")
    classes = tuple(dict.fromkeys(name for name in named if not keep or name in keep))
    if alphabetical:
        classes = tuple(sorted(classes))
    positions = np.array([classes.index(name) if name in classes else _LEFT_OUT for name in named], np.int64)
    splits: dict[str, Any] = {split: samples.relabelled(positions) for split, samples in data.splits.items()}
    ids = {}
    for split, numbers in data.category_ids.items():
        first = {name: number for name, number in reversed(list(zip(named, numbers, strict=True))) if number >= 0}
        ids[split] = tuple(first.get(name, -1) for name in classes)
    return replace(data, classes=classes, splits=splits, category_ids=ids)


def _check(name: str, classes: Sequence[str], setting: str) -> None:
    if name not in classes:
        known = ", ".join(dict.fromkeys(classes))
        raise InputError(f"{setting}: there is no class {name!r}{nearest(name, classes)} (there are {known})")
