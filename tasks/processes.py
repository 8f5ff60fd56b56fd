"""What several processes do together; with one, each of these is what it says for one.

A loss over several processes is that of all their images, as one process would have it: sums and numbers are summed
over all before they are divided (as DETR and detectron2 do with the number of boxes), and so is its gradient once the
processes' gradients are averaged.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = [
    "by_first",
    "from_first",
    "gathered",
    "mean_over_processes",
    "processes",
    "rank",
    "speaks",
    "summed",
    "taking_part",
]

T = TypeVar("T")

_taking_part = True


def processes() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return dist.get_rank() if processes() > 1 else 0


def summed(numbers: Tensor) -> Tensor:
    """The sum over all processes, the same on each of them.

    Its gradient is that of what follows on all processes alike, times their number: averaged over the processes, as
    `DistributedDataParallel` does, gradients of the parameters are those that one process would have.
    """
    return _Summed.apply(numbers) if processes() > 1 else numbers


def mean_over_processes(total: Tensor, count: Tensor | int) -> Tensor:
    """What a loss sums up on every process, over the number of its terms on all of them; 0 where there are none."""
    number = count.to(total.dtype) if isinstance(count, Tensor) else total.new_full((), count)
    both = summed(torch.stack([total, number]))
    return both[0] / both[1].clamp(min=1)


@contextmanager
def taking_part(whether: bool) -> Iterator[None]:
    """Within it a process without images of its own in a step adds nothing to what is summed over all, while it
    computes with them: whoever waits for it would wait for ever."""
    global _taking_part
    before, _taking_part = _taking_part, whether
    try:
        yield
    finally:
        _taking_part = before


def gathered(value: T) -> list[T]:
    """What every process has of this, by rank; it is pickled."""
    if processes() == 1:
        return [value]
    values: list[Any] = [None] * processes()
    dist.all_gather_object(values, value)
    return values


def from_first(value: T) -> T:
    """What the first process has of this; it is pickled."""
    values = [value]
    if processes() > 1:
        dist.broadcast_object_list(values, src=0)
    return values[0]


def by_first(function: Callable[[], T]) -> T:
    """What a function gives on the first process, which alone calls it; all of them raise what it raises."""
    result: tuple[Any, Exception | None] = (None, None)
    if rank() == 0:
        try:
            result = (function(), None)
        except Exception as error:
            result = (None, error)
    value, failure = from_first(result)
    if failure is not None:
        raise failure
    return value


def speaks() -> bool:
    """Whether this process is the first to say why they end; the others have nothing to add."""
    if processes() == 1:
        return True
    try:
        store = dist.distributed_c10d._get_default_store()
        return store.add("vertebra/said", 1) == 1
    except RuntimeError:  # the process that keeps the store has gone, and has said why
        return False


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, numbers: Tensor) -> Tensor:
        ctx.factor = float(processes() * _taking_part)
        total = numbers.detach().clone() * float(_taking_part)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * ctx.factor
