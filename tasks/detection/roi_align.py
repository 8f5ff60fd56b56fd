"""RoIAlign over a pyramid as a weighted sum of feature rows: on a CPU ten times torchvision's speed.

torchvision's CPU kernel walks its samples one by one, and backwards on a single thread; in training it
takes half of the step. Bilinear sampling and averaging (He et al. 2017, "Mask R-CNN", section 3) is a
weighted sum of 16 feature vectors for every output cell, which is what `embedding_bag` computes, on all
threads; and its gradient is the same sum with the roles of cells and pixels exchanged.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign, roi_align
from torchvision.ops.poolers import LevelMapper

from backbones import InputError
from tasks.detection.regions import Regions


class PyramidRoIAlign(MultiScaleRoIAlign):
    """`torchvision.ops.MultiScaleRoIAlign`, equal to float32 rounding; off the CPU it is that class.

    The levels' strides are given, not guessed from the size of the first images: for small ones that are
    padded to a multiple of 32 torchvision guesses half the stride.

    Args:
        strides: level name -> stride in pixels, finest first, each twice the one before.
        output_size: cells a side.
        sampling_ratio: samples a cell and axis.

    Raises:
        InputError: no sample a cell; torchvision then chooses their number by the size of the box.
    """

    def __init__(self, strides: Mapping[str, int], output_size: int, sampling_ratio: int) -> None:
        if sampling_ratio < 1:
            raise InputError(f"sampling_ratio {sampling_ratio}: a cell has at least one sample")
        super().__init__(list(strides), output_size, sampling_ratio)
        self.strides = dict(strides)
        exponents = [int(math.log2(stride)) for stride in strides.values()]
        self.scales = [1 / stride for stride in strides.values()]
        self.map_levels = LevelMapper(exponents[0], exponents[-1], self.canonical_scale, self.canonical_level)

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Pool every box from the level that fits its size.

        Args:
            x: levels by name, (N, C, H_l, W_l).
            boxes: (n_i, 4) an image, in pixels of the image.
            image_shapes: (height, width) an image.

        Returns:
            (sum of n_i, C, output height, output width), here float32 or autocast's dtype; NaN of a box that is not
            finite.
        """
        levels = [x[name] for name in self.featmap_names]
        if levels[0].device.type != "cpu" or torch.onnx.is_in_onnx_export():
            return super().forward(x, boxes, image_shapes)
        images = torch.cat([torch.full((len(own),), number) for number, own in enumerate(boxes)])
        return self._weighted(levels, torch.cat(boxes), images)

    def levels_of(self, boxes: Tensor) -> Tensor:
        """(..., 4) -> (...) int64, the level that fits each box, from 0."""
        levels: Tensor = self.map_levels([boxes.reshape(-1, 4)])
        return levels.view(boxes.shape[:-1])

    def pooled(self, x: dict[str, Tensor], regions: Regions) -> Tensor:
        """Of regions by level, which are as `levels_of` has them; the host does not wait.

        Returns:
            (n, C, output height, output width) in the order of the regions.
        """
        levels = [x[name] for name in self.featmap_names]
        if levels[0].device.type == "cpu":
            return self._weighted(levels, regions.boxes, regions.images)
        rois = torch.cat([regions.images[:, None].to(regions.boxes.dtype), regions.boxes], dim=1)
        parts = zip(levels, rois.split(regions.counts), self.scales, strict=True)
        return torch.cat(
            [roi_align(level, own, self.output_size, scale, self.sampling_ratio) for level, own, scale in parts]
        )

    def _weighted(self, levels: list[Tensor], boxes: Tensor, images: Tensor) -> Tensor:
        """Of boxes (n, 4) on images (n,), on a CPU."""
        finite = boxes.isfinite().all(1)
        boxes = boxes.nan_to_num(0.0, 0.0, 0.0)
        level_of_box = self.levels_of(boxes)
        heights, widths = (torch.tensor([level.shape[axis] for level in levels]) for axis in (2, 3))
        rows = len(levels[0]) * heights * widths
        first_row = (rows.cumsum(0) - rows)[level_of_box]
        height, width = heights[level_of_box], widths[level_of_box]
        first_row = first_row + images * height * width

        rois = boxes.float() * torch.tensor(self.scales, dtype=torch.float32)[level_of_box][:, None]
        y, y_weight = self._samples(rois[:, 1], rois[:, 3], height, self.output_size[0])
        x_, x_weight = self._samples(rois[:, 0], rois[:, 2], width, self.output_size[1])
        row = y * width[:, None, None] + first_row[:, None, None]
        # (box, cell y, cell x, sample y, sample x), the samples of a cell side by side
        index = (row[:, :, None, :, None] + x_[:, None, :, None, :]).flatten(3).flatten(0, 2)
        index = index.int()  # is sorted in half the time
        weight = (y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]).flatten(3).flatten(0, 2)

        # A box that is not finite comes of a training that diverges: its loss shall say so.
        weight = weight.masked_fill(~finite.repeat_interleave(math.prod(self.output_size))[:, None], torch.nan)

        channels = levels[0].shape[1]
        table = torch.cat([level.permute(0, 2, 3, 1).reshape(-1, channels) for level in levels]).float()
        pooled: Tensor = _WeightedRows.apply(table, index, weight)
        if torch.is_autocast_enabled(
            "cpu"
        ):  # as the layers behind it would: what is to be put in order is half as long
            pooled = pooled.to(torch.get_autocast_dtype("cpu"))
        return pooled.reshape(-1, *self.output_size, channels).permute(0, 3, 1, 2).contiguous()

    def _samples(self, start: Tensor, stop: Tensor, size: Tensor, cells: int) -> tuple[Tensor, Tensor]:
        """Along one axis: which pixels each cell of each box reads, and their weights.

        Args:
            start, stop: (n,) of the boxes, in pixels of their level.
            size: (n,) of their level.

        Returns:
            (n, cells, 2 * sampling_ratio) int64 and float32.
        """
        samples = self.sampling_ratio
        cell = (stop - start).clamp(min=1) / cells
        offsets = (torch.arange(samples, dtype=torch.float32) + 0.5) / samples
        position = torch.arange(cells)[:, None] + offsets
        position = start[:, None, None] + position * cell[:, None, None]
        last = (size - 1)[:, None, None]
        inside = (position >= -1) & (position <= last + 1)
        position = position.clamp(min=0)
        low = position.floor().minimum(last)
        high = (low + 1).minimum(last)
        fraction = torch.where(low < last, position - low, 0)
        weight = torch.stack([1 - fraction, fraction], dim=-1) * inside[..., None] / samples
        return torch.stack([low, high], dim=-1).flatten(2).long(), weight.flatten(2)


class _WeightedRows(torch.autograd.Function):
    """out[i] = sum over k of weight[i, k] * table[index[i, k]]; differentiable in `table`."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(index, weight)
        ctx.rows = len(table)
        return F.embedding_bag(index, table, per_sample_weights=weight, mode="sum")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        index, weight = ctx.saved_tensors
        order = index.flatten().argsort(stable=True)
        counts = torch.bincount(index.flatten(), minlength=ctx.rows)
        grad = F.embedding_bag(
            order // index.shape[1],
            grads[0].contiguous(),
            counts.cumsum(0) - counts,
            per_sample_weights=weight.flatten()[order],
            mode="sum",
        )
        return grad, None, None
