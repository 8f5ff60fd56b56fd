"""A timm model run from one of its features to another, no further than to the last level in use."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from backbones.checkpointing import checkpointed


def run(net: Any, x: Any, first: int, last: int) -> tuple[Any, Sequence[Tensor]]:
    """The features first..last - 1, or more, and what the next part of the net takes.

    Args:
        net: made with `features_only`. Those that timm reads through hooks, and HRNet, whose finest level needs all of
            it, run to their end.
        x: images where first is 0; else what was handed on behind feature first - 1, by a net that `splits` there.
    """
    # timm's own checkpointing would count each batch twice in running statistics.
    if first or last < len(net.feature_info.channels()) or getattr(net, "grad_checkpointing", False):
        steps = _steps(net)
        if steps is not None:
            return _run_steps(net, steps, x, first, last)
        if type(net).__name__ == "FeatureGetterNet":
            return x, _run_getter(net, x, last)
    features: Sequence[Tensor] = net(x)
    return x, features


def splits(net: Any, count: int, stages: nn.Module) -> bool:
    """Whether the net can be run up to its first `count` features apart from the rest, and these need what is in the
    stages and nothing else."""
    steps = _steps(net) if count else None
    if steps is None:
        return False
    used: set[Tensor] = set()
    for modules, gives in steps:
        used |= set(nn.ModuleList(modules).parameters())
        count -= gives
        if not count:
            break
    return used == set(stages.parameters())


def checkpoint_gradients(net: Any) -> bool:
    """Turn on timm's own switch; False where the model has none."""
    try:
        (net.model if type(net).__name__ == "FeatureGetterNet" else net).set_grad_checkpointing(True)
    except (AttributeError, AssertionError, NotImplementedError):  # the ways in which models say so
        return False
    return True


def _steps(net: Any) -> list[tuple[list[nn.Module], bool]] | None:
    """What is run one after the other, and whether it gives a feature; None where a net is no such row."""
    kind = type(net).__name__
    if kind == "FeatureListNet":
        return [([module], name in net.return_layers) for name, module in net.items()]
    if kind in ("EfficientNetFeatures", "MobileNetV3Features") and net.feature_hooks is None:
        stem = [net.conv_stem, net.bn1, *([net.act1] if hasattr(net, "act1") else [])]
        tapped = net._stage_out_idx
        return [(stem, 0 in tapped), *(([block], number in tapped) for number, block in enumerate(net.blocks, start=1))]
    return None


def _run_steps(
    net: Any, steps: Iterable[tuple[list[nn.Module], bool]], x: Any, first: int, last: int
) -> tuple[Any, list[Tensor]]:
    features: list[Tensor] = []
    passed = 0
    for modules, gives in steps:
        if passed >= first:
            for module in modules:
                x = _call(module, x, net.grad_checkpointing)
            if gives:
                features.append(x[0] if isinstance(x, tuple | list) else x)
        passed += gives
        if passed == last:
            break
    return x, features


def _run_getter(net: Any, images: Tensor, count: int) -> list[Tensor]:
    features: list[Tensor] = net.model.forward_intermediates(
        images,
        indices=net.out_indices[:count],
        norm=net.norm,
        stop_early=True,
        output_fmt=net.output_fmt,
        intermediates_only=True,
    )
    return features


def _call(module: nn.Module, x: Any, in_checkpoints: bool) -> Any:
    possible = in_checkpoints and module.training and torch.is_grad_enabled()
    changes_its_input = getattr(module, "inplace", False)  # which computing it again would not find
    return checkpointed(module, x) if possible and not changes_its_input else module(x)
