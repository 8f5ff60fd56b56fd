"""What a network does, tried on a copy without numbers, and what its norms cannot work with."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from backbones.errors import InputError

# How torch's norms begin, all of them; then what each says, and what helps beside larger images.
_SINGLE_VALUE = "Expected more than 1 "
_CURES = {"spatial element": "norm 'group'", "torch.Size": "more images a batch", "": "a wider head"}


def on_meta(network: nn.Module) -> nn.Module:
    """A copy on the meta device: shapes and errors as they are, no numbers. All of its parameters take gradients, and
    its norms of several processes see one alone."""
    with torch.inference_mode(False):
        tensors: dict[int, object] = {
            id(tensor): nn.Parameter(torch.empty_like(tensor, device="meta")) for tensor in network.parameters()
        }
        tensors |= {id(tensor): torch.empty_like(tensor, device="meta") for tensor in network.buffers()}
        trial = copy.deepcopy(network, tensors)
    for module in trial.modules():
        if type(module) is nn.SyncBatchNorm:  # which wants a GPU
            module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]
    return trial


def idle_parameters(network: nn.Module, forward: Callable[[nn.Module], Mapping[str, Tensor]]) -> tuple[str, ...]:
    """The names of the parameters that nothing of what a network gives depends on.

    Args:
        forward: runs a copy of the network, on the meta device and in eval, and returns what is in use.
    """
    trial = on_meta(network).eval()
    names, parameters = zip(*trial.named_parameters(), strict=True)
    with torch.inference_mode(False), torch.enable_grad():
        total = torch.stack([level.sum() for level in forward(trial).values()]).sum()
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return tuple(name for name, gradient in zip(names, gradients, strict=True) if gradient is None)


@contextmanager
def naming_small_images(images: list[Tensor], names: list[str]) -> Iterator[None]:
    """Say which images are so small that a norm has a single value a channel, where torch names a tensor.

    Args:
        images: (C, H, W) each.
        names: theirs.

    Raises:
        InputError: they are.
    """
    try:
        yield
    except ValueError as error:
        if not str(error).startswith(_SINGLE_VALUE):
            raise
        sizes = sorted({f"{image.shape[1]} x {image.shape[2]}" for image in images})
        cures = (cure for said, cure in _CURES.items() if said in str(error))
        raise InputError(
            f"{', '.join(dict.fromkeys(names))}: a batch of {len(images)}, {', '.join(sizes)} px: a norm has a single "
            f"value a channel and nothing to normalise; take larger images, or {next(cures)}"
        ) from error
