"""Convolutions and the norms behind them as one convolution each: the same function, in inference, at less work."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.ops import DeformConv2d, FrozenBatchNorm2d

from backbones.resnet.deformable import ModulatedDeformConv2d

_KNOWN = ("torch", "torchvision", "timm", "backbones")  # the packages whose norms are known
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, DeformConv2d, ModulatedDeformConv2d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def fold(module: nn.Module) -> nn.Module:
    """A copy for inference, in which every batch norm that follows a convolution is part of it.

    A batch norm that follows none, as in pre-activated networks, becomes a scale and a shift; group, layer and instance
    norms stay. What follows what is read by `torch.fx`: of the whole module or, where that cannot be traced, of each
    part that can be. The copy is in eval, none of its parameters takes a gradient, and it shares no memory with
    `module`, which stays as it is. In float32 both give the same to 1e-5 of the largest magnitude.

    Args:
        module: any. What it gives in eval is what the copy gives.
    """
    with torch.inference_mode(False), torch.no_grad():
        return fold_in_place(copy.deepcopy(module).eval().requires_grad_(False))


def fold_in_place(module: nn.Module, pairs: Mapping[nn.Module, nn.Module] | None = None) -> nn.Module:
    """`fold`, of a module that is in eval and that nobody else has.

    Args:
        pairs: of `find_pairs`; None looks for them.
    """
    instead: dict[nn.Module, nn.Module] = {}
    for norm, convolution in (find_pairs(module) if pairs is None else pairs).items():
        _merge(convolution, norm)
        instead[norm] = _in_a_row(*_what_follows(norm))
    for norm in module.modules():
        if norm not in instead and is_fixed_norm(norm):
            instead[norm] = _in_a_row(ScaleShift(norm), *_what_follows(norm))
    for parent in [*module.modules()]:
        for name, child in parent.named_children():
            if child in instead:
                setattr(parent, name, instead[child])
    return instead.get(module, module)


class ScaleShift(nn.Module):
    """What a batch norm with fixed statistics does: x * scale + shift, channel by channel, in the dtype of x.

    Args:
        norm: whose statistics and parameters these are.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        of = cast(Any, norm)
        scale = torch.rsqrt(of.running_var + of.eps)
        scale = scale if of.weight is None else scale * of.weight
        shift = -of.running_mean * scale
        self.register_buffer("scale", scale.detach())
        self.register_buffer("shift", (shift if of.bias is None else shift + of.bias).detach())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape and dtype."""
        shape = (-1, *[1] * (x.ndim - 2))
        return (x * self.scale.reshape(shape) + self.shift.reshape(shape)).to(x.dtype)


def is_fixed_norm(module: nn.Module) -> bool:
    """Whether it is a batch norm that in eval is a scale and a shift, and nothing but what timm puts behind one. A
    class with a `forward` of its own says so by `is_batch_norm_in_eval`."""
    if getattr(module, "running_var", None) is None or not isinstance(module, _BatchNorm | FrozenBatchNorm2d):
        return False
    computed_by = type(module).forward.__module__.partition(".")[0]
    return computed_by in _KNOWN or getattr(module, "is_batch_norm_in_eval", False)


def is_convolution(module: nn.Module) -> bool:
    """Whether its output is linear in its weight as it stands: not where the weight is standardised, say, before."""
    if module._forward_hooks or module._forward_pre_hooks or hasattr(module, "parametrizations"):
        return False
    if isinstance(module, _TRANSPOSED):
        return type(module) in _TRANSPOSED and module.groups == 1
    return type(module) in _CONVOLUTIONS or type(module).__name__ == "Conv2dSame"  # timm's, padded by its input's size


def find_pairs(module: nn.Module) -> dict[nn.Module, nn.Module]:
    """Each batch norm whose input always comes from one convolution that gives to nothing else, and that."""
    calls = _Calls()
    for root in _traceable(module):
        calls.add(*root)
    return {
        norm: given[0]
        for norm, given in calls.inputs.items()
        if given[0] is not None and all(one is given[0] for one in given) and calls.users[given[0]] == {norm}
    }


@dataclass
class _Calls:
    """Of the traced parts.

    Attributes:
        inputs: of each batch norm, the convolution that each of its calls has its input from, or None.
        users: of each convolution, the batch norms that take its output; None among them for anything else.
    """

    inputs: dict[nn.Module, list[nn.Module | None]] = field(default_factory=dict)
    users: dict[nn.Module, set[nn.Module | None]] = field(default_factory=dict)

    def add(self, root: nn.Module, graph: fx.Graph) -> None:
        def called(node: Any) -> nn.Module | None:
            is_call = isinstance(node, fx.Node) and node.op == "call_module"
            return root.get_submodule(str(node.target)) if is_call else None

        for node in graph.nodes:
            module = called(node)
            if module is None:
                continue
            if is_fixed_norm(module):
                before = called(node.args[0]) if len(node.args) == 1 else None
                known = before is not None and is_convolution(before)
                self.inputs.setdefault(module, []).append(before if known else None)
            elif is_convolution(module):
                norms = {user if user is not None and is_fixed_norm(user) else None for user in map(called, node.users)}
                self.users.setdefault(module, set()).update(norms)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = is_convolution(m) or is_fixed_norm(m)
        return known or super().is_leaf_module(m, module_qualified_name) or not any(True for _ in m.children())


def _traceable(module: nn.Module) -> Iterator[tuple[nn.Module, fx.Graph]]:
    """The module, or the parts of it that can be traced, with their graphs."""
    if not any(is_fixed_norm(part) for part in module.modules()):
        return
    try:
        graph = _Tracer().trace(module)
    except Exception:  # whatever a module does with what is no tensor
        for child in module.children():
            yield from _traceable(child)
    else:
        yield module, graph


def _merge(convolution: nn.Module, norm: nn.Module) -> None:
    conv, bn = cast(Any, convolution), cast(Any, norm)
    dtype = conv.weight.dtype
    wide = torch.promote_types(dtype, torch.float32)  # halves are merged in float32
    given = (conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.weight, bn.bias)
    weight, bias, mean, variance, scale, shift = (None if one is None else one.detach().to(wide) for one in given)
    assert weight is not None
    transposed = isinstance(convolution, _TRANSPOSED)
    merged = fuse_conv_bn_weights(weight, bias, mean, variance, bn.eps, scale, shift, transposed)  # type: ignore[arg-type]
    conv.weight, conv.bias = (nn.Parameter(one.detach().to(dtype), requires_grad=False) for one in merged)


def _what_follows(norm: nn.Module) -> list[nn.Module]:
    """What timm has put into a norm: dropout and an activation."""
    parts = [getattr(norm, name, None) for name in ("drop", "act")]
    return [part for part in parts if isinstance(part, nn.Module) and type(part) is not nn.Identity]


def _in_a_row(*parts: nn.Module) -> nn.Module:
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts) if parts else nn.Identity()
