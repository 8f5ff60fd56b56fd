"""Our RoIAlign against torchvision's: outputs and gradients, whatever the boxes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign

from backbones import InputError
from tasks.detection.roi_align import PyramidRoIAlign

STRIDES = {"0": 4, "1": 8, "2": 16, "3": 32}
NAMES = list(STRIDES)
SHAPES = [(90, 155), (96, 140)]


def _levels(channels: int = 5) -> dict[str, Tensor]:
    sizes = [(24, 40), (12, 20), (6, 10), (3, 5)]
    return {name: torch.randn(2, channels, *size, requires_grad=True) for name, size in zip(NAMES, sizes, strict=True)}


def _compare(boxes: list[Tensor], output_size: int = 7, sampling_ratio: int = 2) -> None:
    levels = _levels()
    options = {"output_size": output_size, "sampling_ratio": sampling_ratio}
    expected = MultiScaleRoIAlign(NAMES, **options)(levels, boxes, SHAPES)
    found = PyramidRoIAlign(STRIDES, **options)(levels, boxes, SHAPES)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)
    weight = torch.randn_like(expected)
    inputs = list(levels.values())
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, weight), torch.autograd.grad(expected, inputs, weight), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("output_size", "sampling_ratio"), [(7, 2), (14, 2), (3, 1), (5, 3)])
def test_equals_torchvision(output_size: int, sampling_ratio: int) -> None:
    corner, size = torch.rand(60, 2) * 140 - 10, torch.rand(60, 2) ** 2 * 200
    boxes = torch.cat([corner, corner + size], dim=1)
    _compare([boxes[:40], boxes[40:]], output_size, sampling_ratio)


edge = st.floats(-50, 200, width=32)


@settings(max_examples=40, deadline=None)
@given(boxes=st.lists(st.tuples(edge, edge, st.floats(0, 150, width=32), st.floats(0, 150, width=32)), max_size=5))
def test_equals_torchvision_at_the_edges(boxes: list[tuple[float, float, float, float]]) -> None:
    rows = [(x, y, x + width, y + height) for x, y, width, height in boxes]
    _compare([torch.tensor(rows).reshape(-1, 4), torch.tensor([[0.0, 0.0, 155.0, 90.0]])])


def test_bfloat16_features_are_pooled_in_float32() -> None:
    levels = {name: level.detach().bfloat16() for name, level in _levels().items()}
    boxes = [torch.tensor([[3.0, 4.0, 50.0, 60.0]]), torch.zeros(0, 4)]
    found = PyramidRoIAlign(STRIDES, output_size=7, sampling_ratio=2)(levels, boxes, SHAPES)
    expected = MultiScaleRoIAlign(NAMES, output_size=7, sampling_ratio=2)(
        {name: level.float() for name, level in levels.items()}, boxes, SHAPES
    )
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("height", [33, 40, 64, 66])
def test_small_padded_images_are_pooled_at_their_own_coordinates(height: int) -> None:
    """Features that hold their own x: a box from 8 to 40 px pools 8 + 32 (k + 1/2) / 7 (torchvision: twice that)."""
    padded = -(-height // 32) * 32
    levels = {}
    for name, stride in STRIDES.items():
        x = (torch.arange(64 // stride) * stride).float()
        levels[name] = x.expand(1, 1, padded // stride, -1)
    found = PyramidRoIAlign(STRIDES, output_size=7, sampling_ratio=2)(
        levels, [torch.tensor([[8.0, 4.0, 40.0, 28.0]])], [(height, 64)]
    )
    expected = 8 + 32 * (torch.arange(7) + 0.5) / 7
    torch.testing.assert_close(found[0, 0, 3], expected)


def test_a_box_that_is_not_finite_gives_nan_and_leaves_the_others_alone() -> None:
    boxes = torch.tensor([[4.0, 4, 60, 50], [torch.nan, 0, 9, 9], [0, 0, torch.inf, 9], [10, 10, 80, 90]])
    levels = _levels()
    found = PyramidRoIAlign(STRIDES, 7, 2)(levels, [boxes, boxes[:0]], SHAPES)
    whole = [0, 3]
    expected = MultiScaleRoIAlign(NAMES, 7, 2)(levels, [boxes[whole], boxes[:0]], SHAPES)
    torch.testing.assert_close(found[whole], expected, rtol=1e-4, atol=2e-5)
    assert found[[1, 2]].isnan().all()


@pytest.mark.parametrize("sampling_ratio", [0, -1])
def test_no_sample_a_cell_is_refused(sampling_ratio: int) -> None:
    with pytest.raises(InputError, match=f"sampling_ratio {sampling_ratio}: a cell has at least one sample"):
        PyramidRoIAlign(STRIDES, 7, sampling_ratio)


def test_the_default_dtype_is_no_matter() -> None:
    boxes = [torch.tensor([[4.0, 4, 60, 50], [10, 10, 80, 90]]), torch.zeros(0, 4)]
    torch.set_default_dtype(torch.float64)
    try:
        levels = {name: level.detach().float() for name, level in _levels().items()}
        found = PyramidRoIAlign(STRIDES, 7, 2)(levels, boxes, SHAPES)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, MultiScaleRoIAlign(NAMES, 7, 2)(levels, boxes, SHAPES), rtol=1e-4, atol=2e-5)
