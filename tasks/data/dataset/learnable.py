"""What a data set must have for a training to learn anything, whatever its format."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import DataError, Finding, Findings
from tasks.data.labels.samples import LabelledSamples
from tasks.data.masks.labels import IGNORE
from tasks.data.masks.samples import MaskedSample

_LEAST_POLYGON = 24  # characters; what is shorter is looked into
_LEAST_CORNERS = 6  # numbers
_TWO = 2  # classes, which there must be to learn anything


def report_missing_polygons(data: DataSet[Any], findings: Findings) -> None:
    """Find objects without a polygon, of all splits at once.

    Raises:
        DataError: there are any, and `findings` does not keep such.
    """
    for split, samples in data.splits.items():
        if not isinstance(samples, SampleTable):
            continue
        if samples.segmentations is None:
            lacking = np.arange(len(samples.labels))
        else:
            short = np.flatnonzero((samples.segmentations.lengths() < _LEAST_POLYGON) & ~samples.crowd)
            texts = samples.segmentations
            lacking = np.array([number for number in short.tolist() if _is_empty(texts.raw(number))], np.int64)
        if not len(lacking):
            continue
        on = int(np.searchsorted(samples.first, lacking[0], side="right")) - 1
        number = int(lacking[0] - samples.first[on]) + 1
        sample = samples[on]
        line = (
            f"{len(lacking)} of {len(samples.labels)} objects in {split} have no polygon, the first is object {number} "
            f"of {sample.where}; annotate them, or take a head for boxes"
        )
        findings.add("polygon-missing", line, image=sample.file, box=tuple(samples.boxes[lacking[0]].tolist()))


def _is_empty(text: bytes) -> bool:
    try:
        content = msgspec.json.decode(text) if text else None
    except msgspec.DecodeError:
        return False  # broken rather than empty, which is found when it is read
    if isinstance(content, dict):
        return not content
    return not content or (
        isinstance(content, list) and all(isinstance(part, list) and len(part) < _LEAST_CORNERS for part in content)
    )


def report_nothing_to_learn(data: DataSet[Any], where: str, findings: Findings) -> None:
    """Find out whether train has nothing to learn, or another split nothing to evaluate with.

    Raises:
        DataError: train has nothing, and `findings` does not keep such.
    """
    for split, samples in data.splits.items():
        with findings.skipping():
            lacking = _lacking(samples)
            if lacking is not None and split == "train":
                line = f"{where}: {lacking} of train{findings.left_out}; there is nothing to learn"
                raise DataError(Finding("class-none", line))
            if lacking is not None:
                findings.add("split-without-objects", f"{where}: {lacking} of {split}; its metric will say nothing")


def _lacking(samples: Any) -> str | None:
    if isinstance(samples, SampleTable):
        return None if (~samples.crowd).any() else f"no object on any of the {len(samples)} images"
    if isinstance(samples, LabelledSamples):
        return None if len(samples.label_set()) >= _TWO else f"nothing but one class on the {len(samples)} images"
    # Those of rasterized objects are known without a look at the masks.
    seen = set(samples.labels) if samples.labels is not None else _first_labels(samples)
    if not seen:
        return f"nothing but ignored pixels in the {len(samples)} masks"
    return None if len(seen) >= _TWO else f"nothing but one class, and what is ignored, in the {len(samples)} masks"


def _first_labels(samples: Iterable[MaskedSample]) -> set[int]:
    """The labels of the first few masks, until there are two."""
    seen: set[int] = set()
    for sample in samples:
        seen |= set(np.unique(sample.mask.labels()).tolist()) - {IGNORE}
        if len(seen) >= _TWO:
            break
    return seen
