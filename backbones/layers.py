"""Norms by name, and initialisation."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torchvision.ops import DeformConv2d, FrozenBatchNorm2d

from backbones.errors import InputError, nearest

NormLayer = Callable[[int], nn.Module]
Init = Literal["he", "residual_scaled", "zero_last"]

_GROUPS = 32  # Wu and He 2018, "Group normalization", section 4.1


class FrozenBatchNorm(FrozenBatchNorm2d):
    """torchvision's, with the output in the input's dtype under autocast too, as that of a batch norm is."""

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = super().forward(x)
        return normalised.to(x.dtype)


def _group_norm(channels: int) -> nn.GroupNorm:
    if channels == 1:
        return nn.GroupNorm(1, 1)
    if channels % _GROUPS:
        raise InputError(f"norm 'group' makes {_GROUPS} groups; {channels} channels do not divide by them")
    return nn.GroupNorm(_GROUPS, channels)


_NORMS: dict[str, NormLayer] = {
    "batch": nn.BatchNorm2d,
    "sync": nn.SyncBatchNorm,
    "group": _group_norm,
    "instance": partial(nn.InstanceNorm2d, affine=True),
    # torchvision's default eps is that of BatchNorm, so a batch-norm checkpoint means the same.
    "frozen": partial(FrozenBatchNorm, eps=1e-5),
}


def norm_layer(name: str) -> NormLayer:
    """The constructor (channels) -> module of a norm by name: batch | sync | group | instance | frozen."""
    if name not in _NORMS:
        raise InputError(f"norm {name!r} is not known{nearest(name, _NORMS)} (known: {', '.join(_NORMS)})")
    return _NORMS[name]


def has_running_statistics(module: nn.Module) -> bool:
    """Whether a norm, torch's or another (timm's EvoNorm), changes statistics of its own in training."""
    return getattr(module, "running_var", None) is not None and not isinstance(module, FrozenBatchNorm2d)


def init_he(module: nn.Module) -> None:
    """He initialisation of the convolutions (He et al. 2015, fan out); norms start as the identity."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d | DeformConv2d):
            nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")
            if child.bias is not None:
                nn.init.zeros_(child.bias)
