"""Do the anchors fit the boxes of the data?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator

from tasks.data import LONG_SIDE_RATIO, SampleTable

_MATCH = 0.5  # IoU
_MANY = 0.05  # of the boxes
_TRIED = 2.0 ** (np.arange(-8, 9) / 2)


@dataclass(frozen=True)
class AnchorFit:
    """How well anchors match boxes.

    Attributes:
        missed: the share of the boxes (0..1) that no anchor overlaps by an IoU of 0.5, were it centred on them.
        boxes: how many there are.
        factor: what to multiply the anchors' scale by for the fewest missed, and `best` that share.
    """

    missed: float
    boxes: int
    factor: float
    best: float

    def __str__(self) -> str:
        return f"anchors: {self.missed:.1%} of {self.boxes} boxes in train match none at IoU {_MATCH}"

    @property
    def advice(self) -> str:
        """What would help, where too many are missed and something would."""
        if not self.bad or self.best == self.missed:
            return ""
        return f"; head.anchor_scale times {self.factor:.2g} would leave {self.best:.1%}; or take another image size"

    @property
    def bad(self) -> bool:
        return self.missed > _MANY


def anchor_fit(samples: SampleTable, side: int, anchors: NDArray[np.float64]) -> AnchorFit | None:
    """Compare the sizes of the boxes, in pixels of the resized images, with those of the anchors.

    Args:
        side: `data.image_size`.
        anchors: (n, 2) widths and heights.

    Returns:
        The fit, or None where there are no boxes.
    """
    sides = samples.sizes.astype(np.float64)
    scale = np.minimum(side / sides.min(axis=1), round(side * LONG_SIDE_RATIO) / sides.max(axis=1))
    boxes = (samples.boxes[:, 2:] - samples.boxes[:, :2]) * np.repeat(scale, np.diff(samples.first))[:, None]
    boxes = boxes[~samples.crowd]
    if not len(boxes):
        return None
    missed = {factor: float((_best_iou(boxes, anchors * factor) < _MATCH).mean()) for factor in (1.0, *_TRIED.tolist())}
    best = min(missed, key=lambda factor: (missed[factor], abs(np.log(factor))))
    return AnchorFit(missed[1.0], len(boxes), best, missed[best])


def anchor_sizes(detector: nn.Module) -> NDArray[np.float64] | None:
    """(n, 2) widths and heights of a detector's anchors, or None where it has none to choose."""
    generators = [module for module in detector.modules() if isinstance(module, AnchorGenerator)]
    cells = np.concatenate([cell.numpy() for generator in generators for cell in generator.cell_anchors])
    sizes = (cells[:, 2:] - cells[:, :2]).astype(np.float64)
    one_a_level = len(cells) == len(generators[0].cell_anchors)
    return None if one_a_level else sizes


def _best_iou(boxes: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    overlap = np.minimum(boxes[:, None], anchors[None]).prod(axis=2)
    union = boxes.prod(axis=1)[:, None] + anchors.prod(axis=1)[None] - overlap
    best: NDArray[np.float64] = (overlap / union).max(axis=1)
    return best
