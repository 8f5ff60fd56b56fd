"""From an image's objects to one mask of classes."""

from dataclasses import dataclass

import numpy as np

from tasks.data.dataset.sample import Sample
from tasks.data.masks.labels import IGNORE, Labels, Mask, RelabelledMask
from tasks.data.masks.polygons import object_mask
from tasks.data.masks.samples import MaskedSample

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


def rasterized(sample: Sample) -> MaskedSample:
    """A detection sample as one for segmentation."""
    return MaskedSample(sample.name, sample.source, RasterizedMask(sample))


def rasterized_from(mask: Mask) -> Sample | None:
    """The objects that a mask is rasterized from, or None where it is a file."""
    while isinstance(mask, RelabelledMask):
        mask = mask.mask
    return mask.sample if isinstance(mask, RasterizedMask) else None
