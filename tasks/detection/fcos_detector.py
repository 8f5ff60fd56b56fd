"""FCOS (Tian et al. 2019) on all images of a batch at once."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection import FCOS
from torchvision.models.detection.fcos import FCOSHead

from tasks.detection.matching import BACKGROUND, chunks, in_crowd
from tasks.detection.objects import Objects
from tasks.detection.one_stage_detector import FocalHead, OneStageDetector, found_rows
from tasks.processes import mean_over_processes

_SMALLEST, _LARGEST = 4, 8  # farthest side of an object, in strides of its level
_AREA = 1e8  # more than any box has
_EPSILON = 1e-7


class FocalFCOSHead(FocalHead, FCOSHead):
    """torchvision's head with that loss."""


class BatchedFCOS(OneStageDetector, FCOS):
    """torchvision's, with its losses and detections; cells in a crowd region are ignored."""

    def losses(
        self, outputs: dict[str, Tensor], anchors: Tensor, counts: Sequence[int], objects: Objects
    ) -> dict[str, Tensor]:
        matches = cells_on_objects(objects, anchors, counts, self.center_sampling_radius)
        found = found_rows(matches)
        boxes, labels = objects.matched_by(matches)
        labels = labels.masked_fill(matches < 0, 0)
        ignored = torch.zeros_like(matches, dtype=torch.bool)
        if objects.crowds.shape[1]:
            ignored = in_crowd(anchors, objects.crowds) & (matches < 0)
        boxes, cells = boxes.flatten(0, 1)[found], anchors[found % len(anchors)]
        codes = outputs["bbox_regression"].flatten(0, 1)[found]
        losses = {
            "classification": self.head.classification(outputs["cls_logits"], labels, ignored, objects).sum(),
            "bbox_regression": _giou_losses(self.box_coder.decode(codes, cells), boxes).sum(),
            "bbox_ctrness": functional.binary_cross_entropy_with_logits(
                outputs["bbox_ctrness"].flatten()[found],
                _centerness(self.box_coder.encode(cells, boxes)),
                reduction="sum",
            ),
        }
        return {name: mean_over_processes(loss, len(found)) for name, loss in losses.items()}

    def scores(self, outputs: dict[str, Tensor]) -> Tensor:
        return torch.sqrt(outputs["cls_logits"].sigmoid() * outputs["bbox_ctrness"].sigmoid())

    def decoded(self, codes: Tensor, anchors: Tensor) -> Tensor:
        boxes: Tensor = self.box_coder.decode(codes, anchors)
        return boxes


def cells_on_objects(objects: Objects, cells: Tensor, counts: Sequence[int], radius: float) -> Tensor:
    """Which object each cell is on: near its centre, within it, on the level of its size, and the smallest such one, as
    in torchvision's `FCOS.compute_loss`.

    Args:
        cells: (A, 4), squares of a stride, so many of each level.
        radius: from an object's centre, in strides.

    Returns:
        (N, A) int64, a position among the image's objects, or `BACKGROUND`.
    """
    centre, size = (cells[:, :2] + cells[:, 2:]) / 2, cells[:, 2] - cells[:, 0]
    least, most = size * _SMALLEST, size * _LARGEST
    least[: counts[0]] = 0
    most[-counts[-1] :] = torch.inf
    x, y = centre.T.contiguous()
    best = size.new_zeros(len(objects.boxes), len(cells))
    which = torch.full(best.shape, BACKGROUND, device=cells.device)
    for part in chunks(objects.boxes.shape[1], best):
        x_min, y_min, x_max, y_max = objects.boxes[:, part, :, None].unbind(2)
        away = torch.maximum((x - (x_min + x_max) / 2).abs_(), (y - (y_min + y_max) / 2).abs_())
        sides = x - x_min, y - y_min, x_max - x, y_max - y
        nearest = torch.minimum(torch.minimum(sides[0], sides[1]), torch.minimum(sides[2], sides[3]))
        farthest = torch.maximum(torch.maximum(sides[0], sides[1]), torch.maximum(sides[2], sides[3]))
        matched = (away < radius * size) & (nearest > 0) & (farthest > least) & (farthest < most)
        matched &= objects.valid[:, part, None]
        smaller, rows = (matched * (_AREA - (x_max - x_min) * (y_max - y_min))).max(1)
        better = smaller > best
        best = torch.where(better, smaller, best)
        which = torch.where(better, rows + part.start, which)
    return which


def _giou_losses(boxes: Tensor, wanted: Tensor) -> Tensor:
    """(n, 4), (n, 4) -> (n,): torchvision's `generalized_box_iou_loss` (Rezatofighi et al. 2019), which makes the host
    wait for the device."""
    x_min, y_min, x_max, y_max = boxes.unbind(1)
    left, top, right, bottom = wanted.unbind(1)
    across = torch.minimum(x_max, right) - torch.maximum(x_min, left)
    down = torch.minimum(y_max, bottom) - torch.maximum(y_min, top)
    intersection = torch.where((across > 0) & (down > 0), across * down, 0.0)
    union = (x_max - x_min) * (y_max - y_min) + (right - left) * (bottom - top) - intersection
    width = torch.maximum(x_max, right) - torch.minimum(x_min, left)
    hull = width * (torch.maximum(y_max, bottom) - torch.minimum(y_min, top))
    return 1 - (intersection / (union + _EPSILON) - (hull - union) / (hull + _EPSILON))


def _centerness(sides: Tensor) -> Tensor:
    """Distances to a box's left, top, right and bottom (n, 4) -> 1 in its centre, 0 at its border (Tian et al. 2019,
    "FCOS", equation 3)."""
    across, down = sides[:, 0::2], sides[:, 1::2]
    return torch.sqrt((across.amin(1) / across.amax(1)) * (down.amin(1) / down.amax(1)))
