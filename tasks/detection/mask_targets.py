"""What masks a detector is to find within its boxes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import roi_align


def mask_targets(masks: Sequence[Tensor], boxes: Tensor, images: Tensor, matches: Tensor, side: int) -> Tensor:
    """The mask that each box is on, within the box: as torchvision's `project_masks_on_boxes`, for all images at once.

    Args:
        masks: (m, H, W) uint8 an image, whose sizes may differ.
        boxes: (n, 4) within their images.
        images, matches: (n,) int64, the image of each box and the object there that it is on.
        side: of the targets, in cells.

    Returns:
        (n, side, side) float32 from 0 to 1.
    """
    counts = torch.tensor([len(own) for own in masks])
    first = (counts.cumsum(0) - counts).to(boxes.device, non_blocking=True)
    rois = torch.cat([(first[images] + matches)[:, None].to(boxes.dtype), boxes], dim=1)
    targets: Tensor = roi_align(_together(masks)[:, None], rois, (side, side), 1.0)[:, 0]
    return targets


def _together(masks: Sequence[Tensor]) -> Tensor:
    """All masks (sum of m, H, W) float32. A smaller one ends with its last row and column once more: what is sampled
    beyond the last pixel's centre has its value, as at the border of the image."""
    sizes = {tuple(own.shape[1:]) for own in masks}
    if len(sizes) == 1:
        return torch.cat(list(masks)).float()
    height, width = (max(size[axis] for size in sizes) + 1 for axis in (0, 1))
    padded = [
        functional.pad(
            functional.pad(own.float(), (0, 1, 0, 1), mode="replicate"),
            (0, width - own.shape[2] - 1, 0, height - own.shape[1] - 1),
        )
        for own in masks
        if len(own)
    ]
    return torch.cat(padded) if padded else masks[0].new_zeros(0, height, width, dtype=torch.float32)
