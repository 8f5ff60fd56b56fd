"""Norms by name, and initialisation."""

from collections.abc import Callable
from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.ops import FrozenBatchNorm2d

from backbones.errors import InputError, nearest

NormLayer = Callable[[int], nn.Module]

_NORMS: dict[str, NormLayer] = {
    "batch": nn.BatchNorm2d,
    # torchvision's default eps is that of BatchNorm, so a batch-norm checkpoint means the same.
    "frozen": partial(FrozenBatchNorm2d, eps=1e-5),
}


def norm_layer(name: str) -> NormLayer:
    """The constructor (channels) -> module of a norm by name: batch or frozen."""
    if name not in _NORMS:
        raise InputError(f"norm {name!r} is not known{nearest(name, _NORMS)} (known: {', '.join(_NORMS)})")
    return _NORMS[name]


def has_running_statistics(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm | nn.InstanceNorm2d) and module.running_mean is not None


def init_he(module: nn.Module) -> None:
    """He initialisation of the convolutions (He et al. 2015, fan out); norms start as the identity."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")
            if child.bias is not None:
                nn.init.zeros_(child.bias)
