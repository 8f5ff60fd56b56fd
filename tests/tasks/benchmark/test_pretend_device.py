"""The pretend device refuses what CUDA refuses, and counts what makes a host wait for CUDA, once, where it is asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision  # noqa: F401  defines its operators
from torch import Tensor, nn

from tasks.benchmark.pretend_account import counted
from tasks.benchmark.pretend_device import pretend_device
from tasks.training.checkpoint import TrainingState, load_weights_into, read_state, save_checkpoint

DEVICE = pretend_device()
HERE = "tests/tasks/benchmark/test_pretend_device.py"


def _there(*values: Any) -> Tensor:
    return torch.tensor(values).to(DEVICE)


X = _there(3.0, 0.0, 1.0)
INDEX = _there(0, 2)
REPEATS = _there(1, 0, 2)
MASK = _there(True, False, True)
BOXES = _there([0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0])
ON_CPU = torch.tensor([1.0, 2.0, 3.0])
TO_HOST, TO_DEVICE, BY_MASK = "copy to the host", "copy to the device", "index by a mask"

Action = Callable[[], Any]
WAITING: list[tuple[Action, dict[str, int]]] = [
    (lambda: X.sum().item(), {"item": 1}),
    (lambda: float(X[0]), {"item": 1}),
    (lambda: int(INDEX[0]), {"item": 1}),
    (lambda: bool((X > 1).any()), {"item": 1}),
    (lambda: max(1, X.sum()), {"item": 1}),
    (lambda: X[INDEX[0]], {"item": 1}),
    (lambda: X.masked_fill(MASK, X[0]), {"item": 1}),
    (lambda: X.cpu(), {TO_HOST: 1}),
    (lambda: X.tolist(), {TO_HOST: 1}),
    (lambda: torch.zeros(3).copy_(X), {TO_HOST: 1}),
    (lambda: ON_CPU.to(DEVICE), {TO_DEVICE: 1}),
    (lambda: torch.tensor([1.0, 2.0], device=DEVICE), {TO_DEVICE: 1}),
    (lambda: torch.as_tensor([1.0, 2.0], device=DEVICE), {TO_DEVICE: 1}),
    (lambda: torch.tensor(1).to(X), {TO_DEVICE: 1}),
    (lambda: X.clone().copy_(ON_CPU), {TO_DEVICE: 1}),
    (lambda: X[[0, 1]], {TO_DEVICE: 1}),
    (lambda: X[torch.tensor([0, 1])], {TO_DEVICE: 1}),
    (lambda: X.nonzero(), {"nonzero": 1}),
    (lambda: torch.where(X > 1), {"nonzero": 1}),
    (lambda: X[MASK], {BY_MASK: 1}),
    (lambda: X.masked_select(MASK), {BY_MASK: 1}),
    (lambda: X.clone().index_put_((MASK,), X[INDEX]), {BY_MASK: 1}),
    (lambda: X.clone().__setitem__(MASK, X[0]), {BY_MASK: 1}),
    # The number is copied; a mask beside other indices is looked for.
    (lambda: X[:, None].clone().__setitem__((MASK, INDEX * 0), 1.0), {BY_MASK: 1, TO_DEVICE: 1}),
    (lambda: X.unique(), {"unique": 1}),
    (lambda: X.unique_consecutive(), {"unique": 1}),
    (lambda: torch.equal(X, X), {"equal": 1}),
    (lambda: INDEX.bincount(), {"bincount": 2}),
    (lambda: X.repeat_interleave(REPEATS), {"repeat_interleave": 2}),
    (lambda: torch.ops.torchvision.nms(BOXES, X[:2], 0.5), {"nms": 1}),
    (lambda: torch.nn.functional.one_hot(INDEX), {"item": 1}),  # as many classes as the largest label asks for
]
NOT_WAITING: list[Action] = [
    lambda: X + ON_CPU[0],
    lambda: X.clone().__setitem__(MASK, 1.0),
    lambda: X.clone().__setitem__(MASK, ON_CPU[0]),
    lambda: X.clone().__setitem__(0, 1.0),
    lambda: X[INDEX],
    lambda: torch.where(MASK, X, 0.0),
    lambda: ON_CPU.to(DEVICE, non_blocking=True),
    lambda: X.to("cpu", non_blocking=True),
    lambda: X.repeat_interleave(REPEATS, output_size=3),
    lambda: torch.randperm(5, device=DEVICE),
    lambda: torch.full((2,), 3.0, device=DEVICE),
    lambda: torch.nn.functional.one_hot(INDEX, 3),
    lambda: X.masked_fill(MASK, 2.0),
    lambda: (len(X), X.shape, X.numel()),
    lambda: (X[:0].cpu(), X[:0].tolist(), torch.zeros(0, 4).to(DEVICE)),  # there is nothing to copy
    lambda: torch.cat([X, X]).max(),
]


@pytest.mark.parametrize(("action", "expected"), WAITING)
def test_a_wait_is_counted_at_its_line(action: Action, expected: dict[str, int]) -> None:
    line = action.__code__.co_firstlineno
    for inference in (False, True):
        with torch.inference_mode(inference), counted() as account:
            action()
        assert account.synchronisations == {(kind, f"{HERE}:{line}"): times for kind, times in expected.items()}
        assert account.waits == sum(expected.values())
        assert account.copies == expected.get(TO_DEVICE, 0)


@pytest.mark.parametrize("action", NOT_WAITING)
def test_what_does_not_wait(action: Action) -> None:
    with counted() as account:
        action()
    assert account.waits == 0


def test_a_mask_is_looked_for_again_in_the_backward_pass() -> None:
    weights = X.clone().requires_grad_()
    with counted() as account:
        (weights * 2)[MASK].sum().backward()
    assert account.kinds == {BY_MASK: 2}
    assert weights.grad is not None
    assert weights.grad.cpu().tolist() == [2, 0, 2]


def test_what_is_counted_besides() -> None:
    with counted() as outer:
        ON_CPU.to(DEVICE, non_blocking=True)  # a copy
        with counted() as inner:
            (X + 1) * 2
    X.sum()
    assert (outer.waits, outer.copies, outer.operators) == (0, 1, 3)
    assert (inner.waits, inner.copies, inner.operators) == (0, 0, 2)


@pytest.mark.parametrize(
    "action",
    [
        lambda: X + ON_CPU,
        lambda: ON_CPU + X,
        lambda: torch.zeros(3).add_(X),
        lambda: torch.cat([X, ON_CPU]),
        lambda: torch.stack([X[0], ON_CPU[0]]),
        lambda: ON_CPU[INDEX],
        lambda: X.clone().index_put_((INDEX,), ON_CPU[:2]),
        lambda: nn.functional.mse_loss(X, ON_CPU),
        lambda: nn.Linear(3, 2).to(DEVICE)(ON_CPU),
        lambda: nn.Linear(3, 2)(X),
        lambda: torch.where(MASK, X, ON_CPU),
    ],
)
def test_devices_do_not_mix(action: Action) -> None:
    with pytest.raises(RuntimeError, match="on the same device"):
        action()


def test_a_tensor_there_is_no_array() -> None:
    for read in (lambda: X.numpy(), lambda: np.asarray(X)):
        with pytest.raises(TypeError, match=r"use \.cpu\(\) first"):
            read()


def test_shapes_and_strides() -> None:
    assert torch.arange(5, device=DEVICE).shape == (5,)
    assert torch.add(X, X, out=torch.empty(0, device=DEVICE)).shape == (3,)
    assert X.clone().unsqueeze_(0).shape == (1, 3)
    assert str(X.device) == "pretend:0"
    conv = nn.Conv2d(2, 3, 3).to(DEVICE).to(memory_format=torch.channels_last)
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    half = conv.half()
    assert half.weight.dtype == half.weight.cpu().dtype == torch.float16


def test_a_view_in_inference_mode_of_what_was_made_before() -> None:
    with torch.inference_mode():
        assert X.view(3, 1).cpu().tolist() == [[3], [0], [1]]
        assert (X.view(-1) * 2).is_inference()


def test_an_inference_tensor_is_not_saved_for_a_backward_pass() -> None:
    with torch.inference_mode():
        kept = X * 1
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        X.clone().requires_grad_() * kept


def test_checkpoints(tmp_path: Path) -> None:
    """Written from the device, read on the CPU and taken back to the device."""
    model = nn.Conv2d(2, 3, 3).to(DEVICE).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 2, 4, 4).to(DEVICE)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "last", model, {}, TrainingState(optimizer=optimizer.state_dict()))
    for device in ("cpu", DEVICE):
        again = nn.Conv2d(2, 3, 3).to(device)
        load_weights_into(again, tmp_path / "last")
        assert torch.equal(again.weight.cpu(), model.weight.cpu())
        other = torch.optim.SGD(again.parameters(), lr=0.1, momentum=0.9)
        other.load_state_dict(read_state(tmp_path / "last").optimizer)  # type: ignore[arg-type]
        momentum = other.state[again.weight]["momentum_buffer"]
        assert momentum.device == again.weight.device
        assert torch.equal(momentum.cpu(), optimizer.state[model.weight]["momentum_buffer"].cpu())
