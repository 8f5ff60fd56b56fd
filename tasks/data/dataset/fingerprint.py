"""Whether a data set is the one that a run began with, and what has changed if it is not."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.labels.samples import LabelledSample


@dataclass(frozen=True)
class Fingerprint:
    """A split's images by their names, with a number for what is annotated on each.

    Attributes:
        names: a line each.
        numbers: (N,) int64.
    """

    names: str
    numbers: NDArray[np.int64]

    @property
    def by_name(self) -> dict[str, int]:
        names = self.names.split("\n") if self.names else []
        return dict(zip(names, self.numbers.tolist(), strict=True))


def fingerprints(data: DataSet[Any]) -> dict[str, Fingerprint]:
    """Of every split: names, sizes, objects; of masks in files the sizes of the files, whose content is not read."""
    return {split: _fingerprint(samples) for split, samples in data.splits.items()}


def what_changed(before: Mapping[str, Fingerprint], now: Mapping[str, Fingerprint]) -> str:
    """In words; empty where nothing has."""
    lines = []
    for split in dict.fromkeys([*before, *now]):
        old, new = (found[split].by_name if split in found else {} for found in (before, now))
        lines += [
            f"{split}: {len(names)} image{'' if len(names) == 1 else 's'} {what} ({min(names)})"
            for what, names in (
                ("more", new.keys() - old.keys()),
                ("fewer", old.keys() - new.keys()),
                ("annotated otherwise", {name for name in old.keys() & new.keys() if old[name] != new[name]}),
            )
            if names
        ]
    return "; ".join(lines)


def _fingerprint(samples: Any) -> Fingerprint:
    numbers = _of_objects(samples) if isinstance(samples, SampleTable) else [_of_image(sample) for sample in samples]
    return Fingerprint("\n".join(name.replace("\n", " ") for name in samples.names), np.array(numbers, np.int64))


def _of_objects(table: SampleTable) -> list[int]:
    return [_number(table.sizes[position].tobytes(), sample.content()) for position, sample in enumerate(iter(table))]


def _of_image(sample: Any) -> int:
    annotated = sample if isinstance(sample, LabelledSample) else sample.mask
    return _number(b"" if sample.file is None else str(sample.file.stat().st_size).encode(), annotated.content())


def _number(*parts: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(b"/".join(parts), digest_size=8).digest(), "little", signed=True)
