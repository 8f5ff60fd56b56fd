"""Frozen stages, run without autograd through a folded copy: fewer kernels, and weights that are already in the dtype
of autocast.

The copy belongs to a backbone without being a part of it: no state dict, deepcopy or pickle has it.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

from backbones.apart import Stages, has_hooks, is_computed, is_plain
from backbones.compiling import compile_for_inference
from backbones.features import Backbone
from backbones.folding import fold_in_place, is_convolution


def run_prefix(backbone: Backbone, images: Tensor) -> tuple[Any, dict[str, Tensor], int]:
    """Run the frozen stages, where that can be done apart.

    It cannot where the images need a gradient, a frozen module has hooks, is in training or has a tensor that autograd
    follows, and where the network is traced, compiled or exported: nothing is run then, and the plain path has it all.
    The copy is made again when frozen tensors, the device, autocast, the levels in use or the frozen stages have
    changed; it is compiled where the backbone asks for that. What is written through `tensor.data` is not seen: torch
    counts no version of it.

    Args:
        backbone: gives `run_stages`.
        images: (N, C, H, W).

    Returns:
        What the next stage takes, the levels that there are so far, and how many stages were run.
    """
    last = backbone.frozen_stages
    if not last or not is_computed(images) or images.requires_grad or not backbone.splits_after(last):
        return images, {}, 0
    tensors = _held_tensors(backbone)
    if tensors is None:
        return images, {}, 0
    prefix = _prefixes.get(backbone)
    wanted = _Made.of(backbone, tensors, images)
    if prefix is None or not prefix.is_for(wanted, tensors):
        prefix = _prefixes[backbone] = _fold_prefix(backbone, tensors, wanted)
    with torch.no_grad():
        x, levels = prefix.network(images)
    return x, levels, last + 1


@dataclass(frozen=True)
class _Made:
    """What a copy is made of and for."""

    options: tuple[object, ...]
    device: torch.device
    dtype: torch.dtype | None  # autocast's
    parameters: tuple[tuple[int, ...], ...]
    buffers: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, backbone: Backbone, tensors: Sequence[Tensor], images: Tensor) -> "_Made":
        kind = images.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        options = (backbone.frozen_stages, backbone.levels_in_use, backbone.compile_frozen, images.dtype)
        seen = [(one, (id(one), one.data_ptr(), one._version)) for one in tensors]
        return cls(
            options,
            images.device,
            dtype,
            tuple(key for one, key in seen if isinstance(one, nn.Parameter)),
            tuple(key for one, key in seen if not isinstance(one, nn.Parameter)),
        )


@dataclass
class _Prefix:
    """A folded copy.

    Attributes:
        network: images -> what the next stage takes, and the levels.
        made: of what.
        buffers: copies of the buffers that it is made of.
        keeps: the tensors themselves, so that no other takes the place of one.
    """

    network: nn.Module
    made: _Made
    buffers: list[Tensor]
    keeps: list[Tensor]

    def is_for(self, wanted: _Made, tensors: Sequence[Tensor]) -> bool:
        if self.made == wanted:
            return True
        if replace(self.made, buffers=wanted.buffers) != wanted:
            return False
        # A process group writes its first process's buffers into the others', at every step, and changes nothing.
        buffers = [one for one in tensors if not isinstance(one, nn.Parameter)]
        same = len(buffers) == len(self.buffers) and all(map(torch.equal, self.buffers, buffers))
        if same:
            self.made = wanted
        return same


_prefixes: WeakKeyDictionary[Backbone, _Prefix] = WeakKeyDictionary()


def _held_tensors(backbone: Backbone) -> list[Tensor] | None:
    """Those of the frozen stages; None where the plain path shows what a copy would not."""
    modules = [module for stage in backbone.frozen_modules() for module in stage.modules()]
    if has_hooks(modules) or any(module.training for module in modules):
        return None
    tensors = [
        tensor
        for module in modules
        for tensor in (*module._parameters.values(), *module._buffers.values())
        if tensor is not None
    ]
    return (
        tensors
        if all(map(is_plain, tensors)) and not any(one.requires_grad or one.is_inference() for one in tensors)
        else None
    )


def _fold_prefix(backbone: Backbone, tensors: list[Tensor], made: _Made) -> _Prefix:
    device, dtype = made.device, made.dtype
    later = [module for stage in backbone.stages()[backbone.frozen_stages + 1 :] for module in stage]
    with torch.inference_mode(False), torch.no_grad():
        # What comes later is not copied.
        stages = copy.deepcopy(Stages(backbone, 0, backbone.frozen_stages), {id(one): nn.Identity() for one in later})
        network = fold_in_place(stages.eval()).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for module in network.modules():
            cast = is_convolution(module) and not isinstance(module, DeformConv2d)  # which computes in float32
            if dtype is not None and (cast or type(module) is nn.Linear) and module.weight.dtype == torch.float32:
                module.to(dtype)  # as autocast would at every step
        if backbone.compile_frozen:
            compile_for_inference(network, device)
        buffers = [one.clone() for one in tensors if not isinstance(one, nn.Parameter)]
    return _Prefix(network, made, buffers, tensors)
