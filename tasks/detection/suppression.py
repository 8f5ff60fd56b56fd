"""Non-maximum suppression for all images of a batch."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

# torchvision's kernel for devices keeps a bit for every pair of its boxes: half a gigabyte for so many.
_TOGETHER = 2**16
_IMAGE_BY_IMAGE = ("cpu", "mps")  # mps has no float64


def kept(boxes: Tensor, scores: Tensor, groups: Tensor, valid: Tensor, threshold: float) -> Tensor:
    """Which boxes overlap no better one of their image and group by more than the threshold.

    On a CPU each image is by itself: the kernel there compares every box with all worse ones, of other images too.
    Elsewhere the boxes of other images and groups are moved apart, and one call does for all, or a call for every
    65,536 boxes: the host waits once a call. In float64 what is moved stays exact.

    Args:
        boxes: (N, K, 4), none of them negative.
        scores: (N, K).
        groups: (N, K) int64, from 0.
        valid: (N, K) bool, which of these there are.
        threshold: IoU.

    Returns:
        (N, K) bool.
    """
    if not boxes.numel():
        return valid
    if boxes.device.type in _IMAGE_BY_IMAGE:
        # The kernel has one thread, and lets Python's others run.
        with ThreadPoolExecutor(min(len(boxes), torch.get_num_threads())) as threads:
            return torch.stack([*threads.map(partial(_kept_of_one, threshold), boxes, scores, groups, valid)])
    images = max(1, _TOGETHER // max(1, boxes.shape[1]))
    # Two boxes of no size overlap by 0/0, which is more than nothing.
    boxes = torch.where(valid[..., None], boxes, 0.0).double()
    numbers = torch.arange(len(boxes), device=boxes.device)[:, None] * (groups.amax() + 1) + groups
    boxes = boxes + (numbers * (boxes.amax() + 1))[..., None]
    found = torch.zeros(valid.shape, dtype=torch.bool, device=valid.device)
    for own, mine, rank in zip(found.split(images), boxes.split(images), scores.split(images), strict=True):
        rows = nms(mine.flatten(0, 1), rank.flatten().double(), threshold)
        own.view(-1).index_fill_(0, rows, True)
    return found & valid


def _kept_of_one(threshold: float, boxes: Tensor, scores: Tensor, groups: Tensor, valid: Tensor) -> Tensor:
    with torch.no_grad():  # which is each thread's own
        own = valid.nonzero()[:, 0]
        rows = batched_nms(boxes[own], scores[own], groups[own], threshold)
        return torch.zeros_like(valid).index_fill(0, own[rows], True)


def best_detections(
    boxes: Tensor, scores: Tensor, labels: Tensor, valid: Tensor, threshold: float, most: int
) -> list[dict[str, Tensor]]:
    """What is found on each image, at most so many: the best that no better one of their label suppresses.

    Args:
        boxes, scores, labels, valid: (N, K, 4) within their images, (N, K) from 0, (N, K) and (N, K).
        threshold: IoU.

    Returns:
        For each image "boxes" (n, 4), "scores" (n,) and "labels" (n,), the best first.
    """
    found = kept(boxes, scores, labels, valid, threshold)
    ranks, rows = scores.masked_fill(~found, -1.0).topk(min(most, scores.shape[1]), dim=1)
    counts = (ranks >= 0).sum(1).tolist()  # the host waits here
    boxes = boxes.gather(1, rows[..., None].expand(-1, -1, 4))
    labels = labels.gather(1, rows)
    return [
        {"boxes": boxes[image, :count], "scores": ranks[image, :count], "labels": labels[image, :count]}
        for image, count in enumerate(counts)
    ]
