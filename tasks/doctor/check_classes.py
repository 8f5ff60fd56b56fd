"""The classes, and how much there is of each."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.data import DataSet, Finding, LabelledSamples

Counts = Mapping[str, NDArray[np.int64]]  # split -> a number for each class

_FEW = 10
_FAR_MORE = 100


def count_images(data: DataSet[Any]) -> Counts:
    """How many images of each class the splits have."""
    return {
        split: np.bincount(samples.labels, minlength=len(data.classes))
        for split, samples in data.splits.items()
        if isinstance(samples, LabelledSamples)
    }


def class_findings(classes: Sequence[str], counts: Counts, instances: Counts) -> list[Finding]:
    """What the numbers say.

    Args:
        counts: how much there is of each class in each split: objects, pixels or images.
        instances: how often it occurs: objects, or images that show it.
    """
    if not sum(values.sum() for values in counts.values()):
        return []  # which the reader has found
    train = counts["train"]
    found = []
    for label, name in enumerate(classes):
        lacking = [split for split, values in counts.items() if not values[label]]
        if len(lacking) == len(counts):
            found.append(Finding("class-unused", f"{name}: has no object in any split"))
        elif "train" in lacking:
            found.append(Finding("class-not-in-train", f"{name}: train has none of it, but another split has"))
        elif lacking:
            found.append(Finding("class-not-in-split", f"{name}: is not in {' and '.join(lacking)}"))
        if 0 < instances["train"][label] < _FEW:
            found.append(Finding("class-rare", f"{name}: occurs {instances['train'][label]} times in train"))
    seen = np.flatnonzero(train)
    if len(seen):
        most, least = seen[train[seen].argmax()], seen[train[seen].argmin()]
        ratio = train[most] / train[least]
        if ratio >= _FAR_MORE:
            found.append(
                Finding(
                    "class-balance", f"{classes[most]}: train has {ratio:.0f} times as much of it as {classes[least]}"
                )
            )
    return found + _alike(classes)


def _alike(classes: Sequence[str]) -> list[Finding]:
    first: dict[str, str] = {}
    found = []
    for name in classes:
        plain = re.sub(r"(?<=\w)[\s_-]+(?=\w)", "", name.strip().casefold())
        if first.get(plain, name) != name:
            found.append(Finding("class-names-alike", f"{name!r} and {first[plain]!r} are two classes"))
        first.setdefault(plain, name)
    return found
