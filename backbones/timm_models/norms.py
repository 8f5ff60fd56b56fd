"""The batch norms of a timm model as another norm, with the same names in the state dict."""

from timm.layers import BatchNormAct2d, GroupNormAct, convert_sync_batchnorm
from torch import Tensor, nn

from backbones.errors import InputError
from backbones.layers import FrozenBatchNorm, has_running_statistics, norm_layer


def convert_norms(net: nn.Module, norm: str) -> None:
    """Replace the batch norms inside `net` by norm: sync | group | instance | frozen ("batch" keeps them).

    Raises:
        InputError: there is no such norm, there are no batch norms, or their channels do not divide.
    """
    make_norm = norm_layer(norm)
    if norm == "batch":
        return
    others = [name for name, module in net.named_modules() if has_running_statistics(module)]
    found = [name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if not found:
        raise InputError(f"norm {norm!r}: this model has no batch norms that could become it")
    if len(others) > len(found):
        left = next(name for name in others if name not in found)
        raise InputError(f"norm {norm!r}: {left} has running statistics too, and cannot become it")
    if norm == "sync":
        convert_sync_batchnorm(net)
        return
    for name in found:
        parent, _, child = name.rpartition(".")
        old = net.get_submodule(name)
        assert isinstance(old, nn.BatchNorm2d)
        if norm == "frozen":
            new: nn.Module = _FrozenBatchNorm(old)
        else:
            new = make_norm(old.num_features)
            new = _with_act(old, new) if isinstance(old, BatchNormAct2d) else new
        setattr(net.get_submodule(parent), child, new)


class _FrozenBatchNorm(FrozenBatchNorm):
    """With the values of a batch norm, and with what timm has fused into it."""

    def __init__(self, old: nn.BatchNorm2d) -> None:
        super().__init__(old.num_features, eps=old.eps)
        self.load_state_dict(old.state_dict(), strict=False)  # one without scale and shift has neither
        self.drop = getattr(old, "drop", nn.Identity())
        self.act = getattr(old, "act", nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.act(self.drop(super().forward(x)))
        return activated


def _with_act(old: BatchNormAct2d, new: nn.Module) -> nn.Module:
    # Instance norm is group norm with a group for each channel.
    groups = new.num_groups if isinstance(new, nn.GroupNorm) else old.num_features
    replacement = GroupNormAct(old.num_features, num_groups=groups)
    replacement.drop, replacement.act = old.drop, old.act
    return replacement
