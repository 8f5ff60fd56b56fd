"""Trainable stages whose norms keep their statistics: each norm runs within the convolution before it.

A batch norm in eval scales and shifts. With a gradient it takes a slow path, on CUDA one of strided copies. Scaling the
convolution's weight instead, at every step, has the same gradients and no kernel over the activations.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from weakref import ReferenceType, WeakKeyDictionary, ref

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torchvision.ops import FrozenBatchNorm2d

from backbones.apart import Stages, has_hooks, is_computed, is_plain
from backbones.features import Backbone
from backbones.folding import ScaleShift, find_pairs, fold_in_place, is_fixed_norm
from backbones.prefix import run_prefix


def run_backbone(backbone: Backbone, images: Tensor) -> dict[str, Tensor]:
    """All levels in use, by the fastest way that there is: what a subclass that gives `run_stages` has as `forward`.

    Args:
        images: (N, C, H, W), normalised.
    """
    x, levels, first = run_prefix(backbone, images)
    last = len(backbone.stages()) - 1
    trains = backbone.training and torch.is_grad_enabled()
    if trains and is_computed(x) and (held := _held(backbone, x, first, last)) is not None:
        return levels | held.run(x)[1]
    return levels | backbone.run_stages(x, first, last)[1]


@dataclass
class _Held:
    """Stages with their norms folded, without numbers of their own. Nothing here keeps the backbone alive.

    Attributes:
        of: which modules, for which levels.
        without_norms: the copy, on the meta device.
        norms: those that are folded.
        places: for each of them its name in the copy and None, or that of the convolution before it and this.
        others: the names in the copy of what it takes as it is, each with its module and its name there.
        modules: of the copy, each with the one that it stands for.
        activations: numbers that come out of the norms, for each that goes in.
        weights: of the convolutions before them, how many numbers.
    """

    of: tuple[object, ...]
    without_norms: nn.Module
    norms: list[Any]
    places: list[tuple[str, Any]]
    others: list[tuple[str, ReferenceType[nn.Module], str]]
    modules: list[tuple[nn.Module, ReferenceType[nn.Module]]]
    activations: float
    weights: int

    def pays(self, x: Tensor) -> bool:
        """Whether there is less to scale in the weights than in the activations."""
        return self.activations * x.numel() > _WORTH * self.weights

    def run(self, x: Any) -> tuple[Any, dict[str, Tensor]]:
        for own, other in self.modules:
            own.training = cast(nn.Module, other()).training
        tensors = {name: getattr(module(), key) for name, module, key in self.others}
        for (name, convolution), scale, shift in zip(self.places, *_scales_and_shifts(self.norms), strict=True):
            if convolution is None:
                tensors |= {f"{name}.scale": scale, f"{name}.shift": shift}
                continue
            weight, bias = convolution.weight, convolution.bias
            tensors[f"{name}.weight"] = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
            tensors[f"{name}.bias"] = shift if bias is None else torch.addcmul(shift, bias, scale)
        return cast(Any, functional_call(self.without_norms, tensors, (x,), tie_weights=False))


_WIDE = (torch.float32, torch.float64)  # a half has too few digits for a scale
_WORTH = 2.0  # as many activations as weights: measured on a CPU, in bfloat16
_copies: WeakKeyDictionary[Backbone, _Held] = WeakKeyDictionary()


def _held(backbone: Backbone, x: Tensor, first: int, last: int) -> _Held | None:
    """None where the plain path is to be taken: no norm is held, a hook would not see what it is there for, or the
    activations are few."""
    modules = [module for stage in backbone.stages()[first:] for part in stage for module in part.modules()]
    norms: list[Any] = [module for module in modules if is_fixed_norm(module)]
    held = norms and all(isinstance(norm, FrozenBatchNorm2d) or not norm.training for norm in norms)
    if not held or backbone.grad_checkpointing or has_hooks(modules):
        return None
    if not all(is_plain(one) and one.dtype in _WIDE for one in _tensors(norms)):
        return None
    of = (first, backbone.levels_in_use, *map(id, modules))
    found = _copies.get(backbone)
    if found is None or found.of != of:
        found = _copies[backbone] = _fold_held(backbone, x, first, last, of)
    return found if found.pays(x) else None


def _tensors(norms: Sequence[Any]) -> list[Any]:
    return [getattr(norm, name) for norm in norms for name in ("weight", "bias", "running_mean", "running_var")]


def _scale_of(network: nn.Module, name: str) -> str:
    """Where the scale is that has taken the place of a norm: alone, or before an activation."""
    return name if isinstance(network.get_submodule(name), ScaleShift) else f"{name}.0"


def _fold_held(backbone: Backbone, x: Tensor, first: int, last: int, of: tuple[object, ...]) -> _Held:
    stages = Stages(backbone, first, last)
    memo: dict[int, object] = {id(one): nn.Identity() for stage in backbone.stages()[:first] for one in stage}
    with torch.inference_mode(False), torch.no_grad():
        memo |= {id(one): nn.Parameter(torch.empty_like(one, device="meta"), False) for one in backbone.parameters()}
        memo |= {id(one): torch.empty_like(one, device="meta") for one in backbone.buffers()}
        copied = copy.deepcopy(stages, memo).eval()
        names = {module: name for name, module in copied.named_modules()}
        norms = [module for module in names if is_fixed_norm(module)]
        pairs = find_pairs(copied)
        activations = _count_outputs(copied, norms, x) / x.numel()
        fold_in_place(copied, pairs)
    places: list[tuple[str, Any]] = [
        (names[pairs[norm]], stages.get_submodule(names[pairs[norm]]))
        if norm in pairs
        else (_scale_of(copied, names[norm]), None)
        for norm in norms
    ]
    scaled = {id(convolution) for _, convolution in places}
    modules = [(module, stages.get_submodule(name)) for module, name in names.items() if name and module not in norms]
    there = {module: name for name, module in copied.named_modules()}
    others = [
        (f"{there[own]}.{key}", ref(other), key)
        for own, other in modules
        for key in (*own._parameters, *own._buffers)
        if own in there and getattr(own, key) is not None and id(other) not in scaled
    ]
    originals = [stages.get_submodule(names[norm]) for norm in norms]
    weights = sum(convolution.weight.numel() for _, convolution in places if convolution is not None)
    stand_for = [(own, ref(other)) for own, other in modules]
    return _Held(of, copied, originals, places, others, stand_for, activations, weights)


def _count_outputs(network: nn.Module, norms: Sequence[Any], x: Tensor) -> int:
    """How many numbers come out of the norms of a network on the meta device."""
    counts: list[int] = []
    hooks = [
        norm.register_forward_hook(lambda _module, _inputs, output: counts.append(output.numel())) for norm in norms
    ]
    network(torch.empty(x.shape, dtype=norms[0].running_var.dtype, device="meta"))
    for hook in hooks:
        hook.remove()
    return sum(counts)


def _scales_and_shifts(norms: Sequence[Any]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Of all norms in a few kernels; with the gradients of their weights and biases."""
    with torch.no_grad():
        variances = torch._foreach_add([norm.running_var for norm in norms], [norm.eps for norm in norms])
        deviations = torch._foreach_sqrt(variances)
    scales = torch._foreach_div([norm.weight for norm in norms], deviations)
    means = torch._foreach_mul(scales, [norm.running_mean for norm in norms])
    return scales, torch._foreach_sub([norm.bias for norm in norms], means)
