"""Masks of objects as COCO's run lengths: a few hundred bytes each, where a photograph of 12 megapixels takes 12 MB."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection.roi_heads import expand_boxes, expand_masks

from tasks.data import packed_runs

_THRESHOLD = 0.5


class PackedMasks:
    """The masks of an image's objects.

    `masks[0]` is the first as a (height, width) bool tensor, made when it is asked for, and so one by one in a loop;
    `masks[kept]`, with a slice, positions or a (n,) bool tensor, are some of them; `masks.dense()` are all at once.

    Args:
        runs: COCO's compressed run lengths, an object each.
        size: (height, width) of the image in pixels.
    """

    def __init__(self, runs: Iterable[str], size: tuple[int, int]) -> None:
        self.runs = tuple(runs)
        self.size = (int(size[0]), int(size[1]))

    @classmethod
    def of(cls, masks: Tensor | NDArray[Any]) -> Self:
        """From (n, height, width) bool."""
        pixels = np.asarray(masks)
        packed = [coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in pixels]
        return cls((one["counts"].decode() for one in packed), pixels.shape[1:])

    @classmethod
    def in_boxes(cls, masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Self:
        """From what a detector finds within its boxes, as torchvision's `paste_masks_in_image` and a threshold of 0.5
        make it, without the image around them.

        Args:
            masks: (n, 1, h, w) float from 0 to 1, on the CPU.
            boxes: (n, 4) in pixels of the image.
            size: (height, width) of the image.
        """
        padded, scale = expand_masks(masks, padding=1)
        corners = expand_boxes(boxes, scale).long().tolist()
        return cls((_runs_in_box(mask, box, size) for mask, box in zip(padded, corners, strict=True)), size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, height, width)."""
        return (len(self), *self.size)

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Tensor]:
        return (self._pasted(runs) for runs in self.runs)

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, int):
            return self._pasted(self.runs[which])
        positions = torch.arange(len(self))[which].reshape(-1).tolist()
        return PackedMasks((self.runs[position] for position in positions), self.size)

    def _pasted(self, runs: str) -> Tensor:
        pixels = coco_mask.decode({"size": self.size, "counts": runs.encode()})
        return torch.from_numpy(pixels.astype(np.bool_))

    def dense(self) -> Tensor:
        """(n, height, width) bool."""
        return torch.stack(list(self)) if len(self) else torch.zeros(self.shape, dtype=torch.bool)

    def as_coco(self) -> list[dict[str, Any]]:
        """As result files hold them."""
        return [{"size": list(self.size), "counts": runs} for runs in self.runs]


def _runs_in_box(mask: Tensor, box: Sequence[int], size: tuple[int, int]) -> str:
    """Of a mask (1, h, w) in a box whose corners both belong to it; it may reach out of the image."""
    left, top, right, bottom = box
    height, width = max(bottom - top + 1, 1), max(right - left + 1, 1)
    resized = functional.interpolate(mask[None], (height, width), mode="bilinear", align_corners=False)[0, 0]
    first_row, first_column = max(top, 0), max(left, 0)
    inside = resized[first_row - top : max(size[0] - top, 0), first_column - left : max(size[1] - left, 0)]
    return _runs((inside > _THRESHOLD).numpy(), first_row, first_column, size)


def _runs(pixels: NDArray[np.bool_], row: int, column: int, size: tuple[int, int]) -> str:
    """COCO's compressed run lengths, column by column, of an image with these pixels at (row, column)."""
    columns, rows = np.nonzero(pixels.T)
    return packed_runs((columns + column) * size[0] + rows + row, (size[1], size[0]))
