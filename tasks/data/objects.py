"""Outlines of objects, as COCO writes them, into masks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from tasks.data.faults import DataError, Fault
from tasks.data.masks import IGNORE, Labels, MaskedSample
from tasks.data.samples import Rendered, Sample

_LEAST_COORDINATES = 6  # three corners; pycocotools takes four numbers for a box
_OBJECT = 1


def object_mask(segmentation: bytes, size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """The pixels of an object.

    Args:
        segmentation: JSON text: polygons [[x, y, x, y, ...], ...], or a run-length encoding {"size", "counts"} with
            its counts as a list or in COCO's compressed form. Empty: no pixel.
        size: (width, height) of the picture.
        where: what messages call the object.

    Returns:
        (height, width).

    Raises:
        InputError: it is none of these, or of another size than the picture.
    """
    width, height = size
    empty = np.zeros((height, width), np.bool_)
    try:
        content: Any = msgspec.json.decode(segmentation) if segmentation else None
        if not content:
            return empty
        if isinstance(content, dict):
            if list(content["size"]) != [height, width]:
                line = f"{where}: the mask is of {content['size']} pixels, the picture of {[height, width]}"
                raise DataError(Fault("outline-broken", line))
            packed = coco_mask.frPyObjects(content, height, width) if isinstance(content["counts"], list) else content
            return coco_mask.decode(packed).astype(np.bool_)
        if not isinstance(content, list):
            raise TypeError(f"a {type(content).__name__}")
        polygons = [polygon for polygon in content if len(polygon) >= _LEAST_COORDINATES]
        if not polygons:
            return empty
        return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))).astype(np.bool_)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        line = f"{where}: not a segmentation ({error}); wanted are polygons or a run-length encoding"
        raise DataError(Fault("outline-broken", line)) from None


@dataclass(frozen=True)
class DrawnMask:
    """The mask that a picture's objects make together: 0 where there is none, label + 1 on one.

    Where objects overlap, the smaller one is seen; crowd regions are ignored, except where an object lies on them.
    """

    sample: Sample

    def labels(self) -> Labels:
        sample = self.sample
        drawn = np.zeros((sample.size[1], sample.size[0]), np.uint8)
        for number in sorted(range(len(sample.labels)), key=lambda k: (not sample.crowd[k], -sample.areas[k])):
            pixels = object_mask(sample.segmentations[number], sample.size, f"{sample.where}: object {number + 1}")
            drawn[pixels] = IGNORE if sample.crowd[number] else sample.labels[number] + _OBJECT
        return drawn


def drawn(sample: Sample) -> MaskedSample:
    """A detection sample as one for segmentation."""
    source: Path | Rendered = sample.source
    return MaskedSample(sample.name, source, DrawnMask(sample))
