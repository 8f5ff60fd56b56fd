"""Autocast on the pretend device gives the dtypes that CUDA's gives."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms, roi_align

from tasks.benchmark.pretend_autocast import FLOAT32, LOWER, WIDEST
from tasks.benchmark.pretend_device import pretend_device

DEVICE = pretend_device()
HEADER = Path(torch.__file__).parent / "include/ATen/autocast_mode.h"
SINGLE, LOW = torch.float32, torch.bfloat16


def _there(*shape: int, dtype: torch.dtype = SINGLE) -> Tensor:
    return torch.rand(*shape).to(DEVICE, dtype)


IMAGE, SQUARE = _there(1, 2, 4, 4), _there(4, 4)
LOW_IMAGE, LOW_SQUARE = IMAGE.to(LOW), SQUARE.to(LOW)
LABELS = torch.tensor([0, 1, 2, 3]).to(DEVICE)
BOXES = torch.tensor([[0.0, 0.0, 0.0, 3.0, 3.0]]).to(DEVICE)

# From "CUDA Ops that can autocast to float16", "... to float32" and "... that promote to the widest input type".
CASES: list[tuple[Callable[[], Tensor], torch.dtype]] = [
    (lambda: F.conv2d(IMAGE, _there(3, 2, 3, 3)), LOW),
    (lambda: F.conv_transpose2d(IMAGE, _there(2, 3, 3, 3)), LOW),
    (lambda: F.linear(SQUARE, _there(2, 4)), LOW),
    (lambda: SQUARE @ SQUARE, LOW),
    (lambda: torch.bmm(SQUARE[None], SQUARE[None]), LOW),
    (lambda: torch.addmm(SQUARE, SQUARE, SQUARE), LOW),
    (lambda: torch.einsum("ij,jk->ik", SQUARE, SQUARE), LOW),
    (lambda: F.scaled_dot_product_attention(IMAGE, IMAGE, IMAGE), LOW),
    (lambda: LOW_SQUARE.softmax(1), SINGLE),
    (lambda: LOW_SQUARE.log_softmax(1), SINGLE),
    (lambda: F.cross_entropy(LOW_SQUARE, LABELS), SINGLE),
    (lambda: F.nll_loss(LOW_SQUARE, LABELS), SINGLE),
    (lambda: F.mse_loss(LOW_SQUARE, LOW_SQUARE), SINGLE),
    (lambda: F.l1_loss(LOW_SQUARE, LOW_SQUARE), SINGLE),
    (lambda: F.smooth_l1_loss(LOW_SQUARE, LOW_SQUARE), SINGLE),
    (lambda: F.binary_cross_entropy_with_logits(LOW_SQUARE, LOW_SQUARE), SINGLE),
    (lambda: F.layer_norm(LOW_SQUARE, (4,)), SINGLE),
    (lambda: F.group_norm(LOW_IMAGE, 2), SINGLE),
    (lambda: F.interpolate(LOW_IMAGE, scale_factor=2), SINGLE),
    (lambda: F.interpolate(LOW_IMAGE, scale_factor=2, mode="bilinear"), SINGLE),
    (lambda: LOW_SQUARE.sum(), SINGLE),
    (lambda: LOW_SQUARE.sum(1), SINGLE),
    (lambda: LOW_SQUARE.prod(), SINGLE),
    (lambda: LOW_SQUARE.cumsum(0), SINGLE),
    (lambda: LOW_SQUARE.exp(), SINGLE),
    (lambda: LOW_SQUARE.log(), SINGLE),
    (lambda: LOW_SQUARE**2, SINGLE),
    (lambda: LOW_SQUARE.norm(), SINGLE),
    (lambda: torch.cat([SQUARE, LOW_SQUARE]), SINGLE),
    (lambda: torch.stack([LOW_SQUARE, SQUARE]), SINGLE),
    (lambda: torch.cat([LOW_SQUARE, LOW_SQUARE]), LOW),
    (lambda: torch.addcmul(SQUARE, LOW_SQUARE, LOW_SQUARE), SINGLE),
    # in none of the lists
    (lambda: F.relu(LOW_SQUARE), LOW),
    (lambda: LOW_SQUARE + LOW_SQUARE, LOW),
    (lambda: F.max_pool2d(LOW_IMAGE, 2), LOW),
    (lambda: F.batch_norm(LOW_IMAGE, _there(2), _there(2)), LOW),
    (lambda: LABELS.sum(), torch.int64),
    (lambda: SQUARE.double() @ SQUARE.double(), torch.float64),
    # torchvision's
    (lambda: roi_align(LOW_IMAGE, BOXES, 2), LOW),
    (lambda: roi_align(IMAGE, BOXES, 2), SINGLE),
    (lambda: nms(LOW_SQUARE, LOW_SQUARE[0], 0.5), torch.int64),
]


@pytest.mark.parametrize(("compute", "dtype"), CASES)
def test_dtypes(compute: Callable[[], Tensor], dtype: torch.dtype) -> None:
    with torch.autocast("pretend", LOW):
        assert compute().dtype == dtype


def test_outside_nothing_is_cast() -> None:
    assert (SQUARE @ SQUARE).dtype == SINGLE
    assert LOW_SQUARE.sum().dtype == LOW
    with torch.autocast("pretend", LOW, enabled=False):
        assert (SQUARE @ SQUARE).dtype == SINGLE
    with torch.autocast("pretend", torch.float16):
        assert (SQUARE @ SQUARE).dtype == torch.float16


def test_gradients_have_the_dtype_of_the_weights() -> None:
    weight = _there(3, 2, 3, 3).requires_grad_()
    with torch.autocast("pretend", LOW):
        F.conv2d(IMAGE, weight).sum().backward()
    assert weight.grad is not None
    assert weight.grad.dtype == SINGLE


def test_what_is_unsafe_is_refused() -> None:
    with torch.autocast("pretend", LOW), pytest.raises(RuntimeError, match="unsafe to autocast"):
        F.binary_cross_entropy(SQUARE, SQUARE)


def _header_list(text: str, name: str) -> set[str]:
    """The operators of one of the lists of torch's C++ header, as `aten` names them."""
    body = re.search(rf"define {name}\(_\)((?:.*\\\n)*.*)", text)
    assert body is not None
    entries: Any = re.findall(r"_\((\w+)(?:, (\w+))?\)", body[1])
    return {f"{operator}.{overload}" if overload else operator for operator, overload in entries}


@pytest.mark.skipif(not HEADER.is_file(), reason="torch came without its C++ headers")
def test_the_lists_are_cudas() -> None:
    text = HEADER.read_text(encoding="utf-8")
    in_float32 = _header_list(text, "AT_FORALL_FP32") | _header_list(text, "AT_FORALL_FP32_SET_OPT_DTYPE")
    assert set(LOWER.split()) == _header_list(text, "AT_FORALL_LOWER_PRECISION_FP")
    assert set(FLOAT32.split()) == in_float32 | {"norm.Scalar", "norm.ScalarOpt_dim"}
    assert set(WIDEST.split()) == _header_list(text, "AT_FORALL_PROMOTE") | {"stack", "cat"}
