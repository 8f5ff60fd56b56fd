"""Gradient checkpointing (Chen et al. 2016, "Training deep nets with sublinear memory cost") that leaves
running statistics alone."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from backbones.layers import has_running_statistics


def checkpointed(block: nn.Module, x: Tensor) -> Tensor:
    """`block(x)`, whose activations are computed again in the backward pass instead of kept."""
    return checkpoint(block, x, use_reentrant=False, context_fn=partial(_contexts, block))


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _statistics_held(block)


@contextmanager
def _statistics_held(block: nn.Module) -> Iterator[None]:
    # A second forward pass of a batch norm in training would count the same batch twice: it counts on copies.
    held = [
        (module, name, buffer)
        for module in block.modules()
        if module.training and has_running_statistics(module)
        for name, buffer in module.named_buffers(recurse=False)
    ]
    for module, name, buffer in held:
        setattr(module, name, buffer.clone())
    try:
        yield
    finally:
        for module, name, buffer in held:
            setattr(module, name, buffer)
