"""From an image's objects to one mask of classes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet, Split
from tasks.data.dataset.table import SampleTable
from tasks.data.masks.labels import BACKGROUND, IGNORE, Labels, Mask, RelabelledMask
from tasks.data.masks.polygons import object_mask
from tasks.data.masks.samples import MaskedSample, MaskedSamples

_OBJECT = 1


@dataclass(frozen=True)
class RasterizedMask:
    """The mask that an image's objects make together: 0 where there is none, label + 1 on one.

    Where objects overlap, the smaller one is seen; crowd regions are ignored, except where an object lies on them.
    """

    sample: Sample

    def labels(self) -> Labels:
        sample = self.sample
        mask = np.zeros((sample.size[1], sample.size[0]), np.uint8)
        for number in sorted(range(len(sample.labels)), key=lambda k: (not sample.crowd[k], -sample.areas[k])):
            pixels = object_mask(sample.segmentations[number], sample.size, f"{sample.where}: object {number + 1}")
            mask[pixels] = IGNORE if sample.crowd[number] else sample.labels[number] + _OBJECT
        return mask

    def content(self) -> bytes:
        return self.sample.content()


@dataclass(frozen=True)
class _Rasterized:
    samples: SampleTable

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, position: int, /) -> MaskedSample:
        sample = self.samples[position]
        return MaskedSample(sample.name, sample.source, RasterizedMask(sample))

    def __iter__(self) -> Iterator[MaskedSample]:
        return (self[position] for position in range(len(self)))


def as_masks(data: DataSet[Any]) -> DataSet[MaskedSample]:
    """A data set of objects with polygons as one of masks: the background, and a class for each of its own."""
    splits: dict[str, Split[MaskedSample]] = {}
    for split, samples in data.splits.items():
        assert isinstance(samples, SampleTable)
        labels = frozenset({0} | {label + _OBJECT for label in samples.label_set()})
        splits[split] = MaskedSamples(_Rasterized(samples), samples.names, labels)
    layout = f"{data.layout}, polygons as masks"
    return DataSet(layout, (BACKGROUND, *data.classes), splits, data.findings)


def rasterized_from(mask: Mask) -> Sample | None:
    """The objects that a mask is rasterized from, or None where it is a file."""
    while isinstance(mask, RelabelledMask):
        mask = mask.mask
    return mask.sample if isinstance(mask, RasterizedMask) else None
