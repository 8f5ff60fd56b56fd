"""Which parameters of a backbone the levels in use do not need."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def idle_parameters(network: nn.Module, forward: Callable[[nn.Module], Mapping[str, Tensor]]) -> tuple[str, ...]:
    """The names of the parameters that nothing of what a network gives depends on.

    Args:
        forward: runs a copy of the network, on the meta device and in eval, and returns what is in use.
    """
    trial = _on_meta(network).eval()
    names, parameters = zip(*trial.named_parameters(), strict=True)
    with torch.inference_mode(False), torch.enable_grad():
        total = torch.stack([level.sum() for level in forward(trial).values()]).sum()
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return tuple(name for name, gradient in zip(names, gradients, strict=True) if gradient is None)


def _on_meta(network: nn.Module) -> nn.Module:
    """A copy without numbers, all of whose parameters take gradients."""
    with torch.inference_mode(False):
        tensors: dict[int, object] = {
            id(tensor): nn.Parameter(torch.empty_like(tensor, device="meta")) for tensor in network.parameters()
        }
        tensors |= {id(tensor): torch.empty_like(tensor, device="meta") for tensor in network.buffers()}
        return copy.deepcopy(network, tensors)
