"""Digests of what is frozen: the proof that it did not change."""

import hashlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from backbones.features import Backbone


def frozen_digests(backbone: Backbone) -> dict[str, str]:
    """SHA-256 of every frozen parameter and buffer, by its name in the state dict."""
    state = backbone.state_dict()
    frozen = {id(tensor) for module in backbone.frozen_modules() for tensor in _tensors(module)}
    names = [name for name, tensor in _named_tensors(backbone) if id(tensor) in frozen]
    return {name: _digest(state[name]) for name in names if name in state}


def changed_tensors(backbone: Backbone, digests: Mapping[str, str]) -> list[str]:
    """The names whose tensors are not bit for bit what `frozen_digests` saw."""
    state = backbone.state_dict()
    return [name for name, digest in digests.items() if _digest(state[name]) != digest]


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _digest(tensor: Tensor) -> str:
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(data.numpy().tobytes()).hexdigest()
