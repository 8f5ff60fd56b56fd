"""Masks as run lengths, against torchvision's pasting and pycocotools' encoding."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from tasks.detection import Detections, PackedMasks
from tasks.detection.masks import _runs


def _expected(masks: Tensor) -> list[str]:
    return [coco_mask.encode(np.asfortranarray(mask.numpy(), np.uint8))["counts"].decode() for mask in masks]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_what_a_detector_finds_is_pasted_as_torchvision_pastes_it(seed: int, height: int, width: int) -> None:
    """Boxes within the image, up to its edges and as thin as nothing; masks smooth and noisy."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.rand(6, 1, 28, 28, generator=generator)
    found[::2] = (found[::2] > 0.1).float()
    corners = torch.rand(6, 2, 2, generator=generator).sort(dim=1).values * torch.tensor([width, height])
    corners[0] = torch.tensor([[0, 0], [width, height]])
    boxes = corners.reshape(6, 4)
    pasted = paste_masks_in_image(found, boxes, (height, width))[:, 0] > 0.5
    packed = PackedMasks.in_boxes(found, boxes, (height, width))
    assert torch.equal(packed.dense(), pasted)
    assert list(packed.runs) == _expected(pasted)  # the very text that pycocotools writes


@given(st.data())
def test_run_lengths_are_pycocotools(data: Any) -> None:
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    rows, columns = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    row, column = data.draw(st.integers(0, height - rows)), data.draw(st.integers(0, width - columns))
    bits = data.draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    whole = torch.zeros(height, width, dtype=torch.bool)
    whole[row : row + rows, column : column + columns] = torch.tensor(bits, dtype=torch.bool).reshape(rows, columns)
    pixels = whole[row : row + rows, column : column + columns].numpy()
    assert _runs(pixels, row, column, (height, width)) == _expected(whole[None])[0]


def test_a_box_outside_the_image_has_no_pixel() -> None:
    boxes = torch.tensor([[50.0, 60, 70, 80], [-30, -30, -10, -10]])
    packed = PackedMasks.in_boxes(torch.ones(2, 1, 28, 28), boxes, (20, 30))
    assert packed.shape == (2, 20, 30)
    assert not packed.dense().any()


def test_some_are_taken_as_of_a_tensor() -> None:
    masks = torch.rand(4, 5, 7) > 0.5
    packed = PackedMasks.of(masks)
    assert torch.equal(packed[2], masks[2])
    assert torch.equal(packed[-1], masks[-1])
    for which in (slice(1, 3), torch.tensor([True, False, False, True]), torch.tensor([3, 0]), [1]):
        assert torch.equal(packed[which].dense(), masks[which])
    assert [torch.equal(one, mask) for one, mask in zip(packed, masks, strict=True)] == [True] * 4
    assert packed[torch.zeros(4, dtype=torch.bool)].dense().shape == (0, 5, 7)
    with pytest.raises(IndexError):
        packed[4]


def test_detections_above_a_score_keep_their_own_masks() -> None:
    masks = torch.rand(3, 5, 7) > 0.5
    found = Detections(torch.zeros(3, 4), torch.tensor([0, 1, 0]), torch.tensor([0.9, 0.8, 0.3]), PackedMasks.of(masks))
    kept = found.above([0.5, 0.9])
    assert kept.masks is not None
    assert torch.equal(kept.masks.dense(), masks[:1])
    written = found.as_coco(7, "a.png")
    assert [item["segmentation"]["counts"] for item in written] == _expected(masks)
    assert written[0]["segmentation"]["size"] == [5, 7]


def test_a_photographs_masks_are_small() -> None:
    """100 objects on 12 megapixels, a quarter of a side each: 1.2 GB as bools, 4.8 GB as floats."""
    corners = torch.rand(100, 2) * torch.tensor([3000.0, 2250])
    boxes = torch.cat([corners, corners + torch.tensor([1000.0, 750])], dim=1)
    packed = PackedMasks.in_boxes(torch.rand(100, 1, 28, 28), boxes, (3000, 4000))
    assert sum(map(len, packed.runs)) < 4e6
