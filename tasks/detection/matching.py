"""Which object an anchor or a proposal is on, for all images of a batch at once."""

from collections.abc import Iterator

import torch
from torch import Tensor

from tasks.detection.objects import Objects

BACKGROUND, BETWEEN = -1, -2  # as torchvision's Matcher has them
_IN_CROWD = 0.5
# How many pairs of objects and boxes are compared at once: on a CPU as many as its cache holds, three times as fast as
# all of 300 objects and 20,000 anchors at once; elsewhere as many as take a quarter of a gigabyte.
_PAIRS_ON_CPU, _PAIRS = 2**18, 2**24


def match(
    objects: Objects, boxes: Tensor, high: float, low: float, *, low_quality: bool = False
) -> tuple[Tensor, Tensor]:
    """As torchvision's `Matcher` on the IoU, image by image: the object with the largest, if that is at least `high`.

    The pairs are compared in parts, so that many objects take time and no memory.

    Args:
        boxes: (K, 4) of all images, or (N, K, 4).
        low: what has a smaller IoU with every object is background.
        low_quality: the boxes with the largest IoU of all boxes with an object are on theirs too, however small it is
            (Ren et al. 2015, section 3.1.2).

    Returns:
        (N, K) int64, a position among the image's objects, `BACKGROUND` or `BETWEEN`; and (N, K) the largest IoU.
    """
    corners = boxes.movedim(-1, 0).contiguous()
    area = ((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])).expand(len(objects.boxes), -1)
    best = torch.zeros_like(area)
    which = torch.zeros(area.shape, dtype=torch.int64, device=area.device)
    largest_of_one = torch.zeros(area.shape, dtype=torch.bool, device=area.device)
    for part in chunks(objects.boxes.shape[1], area):
        iou = _iou(objects.boxes[:, part], corners, area)
        values, rows = iou.max(1)
        better = values > best
        best = torch.where(better, values, best)
        which = torch.where(better, rows + part.start, which)
        if low_quality:
            # No IoU is 2: rows of no object are largest nowhere.
            largest = iou.amax(2).masked_fill(~objects.valid[:, part], 2.0)
            largest_of_one |= (iou == largest[..., None]).any(1)
    matches = torch.where(best < low, BACKGROUND, torch.where(best < high, BETWEEN, which))
    if low_quality:
        matches = torch.where(largest_of_one, which, matches)
    return matches.masked_fill(~objects.valid.gather(1, which), BACKGROUND), best


def in_crowd(boxes: Tensor, crowds: Tensor) -> Tensor:
    """(K, 4) or (N, K, 4), (N, C, 4) -> (N, K) bool: more than half of the box lies in one of the crowd regions.

    That share of the box's own area is also what COCO's evaluation takes for crowds.
    """
    area = ((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])).expand(len(crowds), -1)
    corners = boxes.movedim(-1, 0).contiguous()
    found = torch.zeros(area.shape, dtype=torch.bool, device=area.device)
    for part in chunks(crowds.shape[1], area):
        found |= (_intersection(crowds[:, part], corners) > _IN_CROWD * area[:, None]).any(1)
    return found


def chunks(count: int, like: Tensor) -> Iterator[slice]:
    """Parts of so many objects an image, to compare with `like` (N, K) boxes."""
    pairs = _PAIRS_ON_CPU if like.device.type == "cpu" else _PAIRS
    size = max(1, pairs // max(1, like.numel()))
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _intersection(objects: Tensor, corners: Tensor) -> Tensor:
    """(N, m, 4), (4, K) or (4, N, K) -> (N, m, K)."""
    x_min, y_min, x_max, y_max = objects[..., None].unbind(2)
    left, top, right, bottom = (one.unsqueeze(-2) for one in corners.unbind(0))
    width = torch.minimum(x_max, right).sub_(torch.maximum(x_min, left)).clamp_(min=0)
    height = torch.minimum(y_max, bottom).sub_(torch.maximum(y_min, top)).clamp_(min=0)
    return width.mul_(height)


def _iou(objects: Tensor, corners: Tensor, area: Tensor) -> Tensor:
    intersection = _intersection(objects, corners)
    own = (objects[..., 2] - objects[..., 0]) * (objects[..., 3] - objects[..., 1])
    union = (own[..., None] + area[:, None]).sub_(intersection)
    return intersection.div_(union)
