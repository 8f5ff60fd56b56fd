"""A region proposal network's head at some anchors alone.

Its loss looks at 256 anchors of an image, out of tens of thousands, and proposals take no gradient. So nothing is kept
of the pass over all places, and the gradients come from a second one over the 3 x 3 patches around those anchors: the
same gradients, without two convolutions' backward passes over every level.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection.rpn import RPNHead

_SIDE = 3  # of a patch
_CACHED = 64  # sizes of batches


def is_sampled(head: RPNHead) -> bool:
    """Whether an output depends on one patch: not where convolutions follow each other."""
    return len(head.conv) == 1


@contextmanager
def without_gradients(device: torch.device) -> Iterator[None]:
    """Nothing is kept for a backward pass; nor are autocast's copies of the weights, which could take no part in it."""
    kind = device.type
    dtype, enabled = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
    with torch.no_grad(), torch.autocast(kind, dtype, enabled, cache_enabled=False):
        yield


def at_anchors(head: RPNHead, levels: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
    """What the head says of some anchors.

    Args:
        levels: (N, C, H, W) each.
        rows: (N, K) int64, anchors in the order of torchvision's `concat_box_prediction_layers`: by level, row, column,
            and shape.

    Returns:
        Logits (N, K) and codes (N, K, 4), both float32.
    """
    images, channels = levels[0].shape[:2]
    shapes = head.cls_logits.out_channels
    sizes = tuple((level.shape[2], level.shape[3]) for level in levels)
    place, shape = rows.div(shapes, rounding_mode="floor"), (rows % shapes)[..., None]
    first, height, width, begin = _layout(sizes, images, rows.device)[:, place]
    place = place - first
    y, x = place.div(width, rounding_mode="floor"), place % width
    step = torch.arange(_SIDE, device=rows.device) - _SIDE // 2
    y, x = y[..., None, None] + step[:, None], x[..., None, None] + step
    height, width = height[..., None, None], width[..., None, None]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    image = torch.arange(images, device=rows.device)[:, None, None, None]
    index = begin[..., None, None] + image * height * width + y * width + x
    table = torch.cat([level.permute(0, 2, 3, 1).reshape(-1, channels) for level in levels])
    patches = functional.embedding(index.where(inside, 0), table) * inside[..., None]

    convolution = head.conv[0][0]
    weight = convolution.weight.permute(0, 2, 3, 1).flatten(1)
    hidden = functional.linear(patches.flatten(2), weight, convolution.bias).relu()
    logits = functional.linear(hidden, head.cls_logits.weight.flatten(1), head.cls_logits.bias).float()
    codes = functional.linear(hidden, head.bbox_pred.weight.flatten(1), head.bbox_pred.bias).float()
    own = shape[..., None].expand(-1, -1, 1, 4)
    return logits.gather(2, shape)[..., 0], codes.unflatten(2, (shapes, 4)).gather(2, own)[:, :, 0]


@lru_cache(_CACHED)
def _layout(sizes: tuple[tuple[int, int], ...], images: int, device: torch.device) -> Tensor:
    """(4, places of an image) int64: of each place its level's first place, height, width, and its first row of a table
    with every image's places, level by level. Copied to the device once: the host would wait for it at every step."""
    columns, first = [], 0
    for height, width in sizes:
        own = torch.tensor([first, height, width, images * first])
        columns.append(own[:, None].expand(-1, height * width))
        first += height * width
    with torch.inference_mode(False):
        return torch.cat(columns, 1).to(device)
