"""Some stages of a backbone as a module of their own, and when they may be run as one."""

from collections.abc import Iterable
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules import module as every_module

from backbones.features import Backbone

# Tensors of numbers on a device: none that is traced, sharded or quantized. Whoever makes a device in Python adds its
# kind, as to torch's own lists of that sort.
PLAIN_TENSORS: list[type[Tensor]] = [Tensor, nn.Parameter]


class Stages(nn.Module):
    """Stages first..last of a backbone; see `Backbone.run_stages`."""

    def __init__(self, backbone: Backbone, first: int, last: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.first = first
        self.last = last

    def forward(self, x: Any) -> tuple[Any, dict[str, Tensor]]:
        return self.backbone.run_stages(x, self.first, self.last)


def is_computed(x: object) -> bool:
    """Whether it is a tensor of numbers: not traced, compiled or exported, where the plain path is to be seen."""
    if not is_plain(x) or x.device.type == "meta" or torch.compiler.is_compiling():
        return False
    return not (torch._C._get_tracing_state() or torch.onnx.is_in_onnx_export())


def is_plain(x: object) -> TypeGuard[Tensor]:
    return type(x) in PLAIN_TENSORS


def has_hooks(modules: Iterable[nn.Module]) -> bool:
    """Whether somebody looks at what goes through one of them."""
    if every_module._global_forward_hooks or every_module._global_forward_pre_hooks:
        return True
    return any(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks for module in modules)
