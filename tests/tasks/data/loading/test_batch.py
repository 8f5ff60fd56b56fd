"""A batch goes to a device in few copies, and is there what it was."""

from typing import Any

import torch

from tasks.benchmark.pretend_account import counted
from tasks.benchmark.pretend_device import pretend_device
from tasks.data.loading.batch import Batch


def _batch() -> Batch:
    images = [torch.randint(256, (3, side, 40), dtype=torch.uint8) for side in (32, 48, 32)]
    targets: list[dict[str, Any]] = [
        {
            "boxes": torch.rand(count, 4),
            "labels": torch.arange(count),
            "masks": torch.ones(count, 32, 40, dtype=torch.uint8),
            "label": torch.tensor(count),
        }
        for count in (2, 0, 3)
    ]
    return Batch(images, targets, [0, 1, 2], ["a", "b", "c"], [(32, 40)] * 3)


def test_values_and_shapes_are_the_same_there() -> None:
    batch = _batch()
    with counted() as account:
        there = batch.to(pretend_device())
    assert account.waits == 0
    assert account.copies == 3  # bytes, floats and integers
    assert [len(target) for target in there.targets] == [4, 4, 4]
    for one, other in zip(batch.images, there.images, strict=True):
        assert torch.equal(one, other.cpu())
    for one, other in zip(batch.targets, there.targets, strict=True):
        for key, value in one.items():
            assert other[key].dtype == value.dtype
            assert torch.equal(value, other[key].cpu())


def test_one_that_is_there_stays_as_it_is() -> None:
    batch = _batch()
    assert batch.to(torch.device("cpu")) is batch
