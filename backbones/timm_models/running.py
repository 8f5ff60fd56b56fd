"""A timm model run no further than to the last level in use."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from backbones.checkpointing import checkpointed


def run(net: Any, images: Tensor, count: int) -> Sequence[Tensor]:
    """The first `count` features, or more.

    Args:
        net: made with `features_only`. Those that timm reads through hooks, and HRNet, whose finest level needs all of
            it, run to their end.
    """
    kind = type(net).__name__
    # timm's own checkpointing would count each batch twice in running statistics.
    if count < len(net.feature_info.channels()) or getattr(net, "grad_checkpointing", False):
        if kind == "FeatureListNet":
            return _run_modules(net, images, count)
        if kind == "FeatureGetterNet":
            return _run_getter(net, images, count)
        if kind in ("EfficientNetFeatures", "MobileNetV3Features") and net.feature_hooks is None:
            return _run_blocks(net, images, count)
    features: Sequence[Tensor] = net(images)
    return features


def checkpoint_gradients(net: Any) -> bool:
    """Turn on timm's own switch; False where the model has none."""
    try:
        (net.model if type(net).__name__ == "FeatureGetterNet" else net).set_grad_checkpointing(True)
    except (AttributeError, AssertionError, NotImplementedError):  # the ways in which models say so
        return False
    return True


def _run_modules(net: Any, x: Any, count: int) -> list[Tensor]:
    features: list[Tensor] = []
    for name, module in net.items():
        x = _call(module, x, net.grad_checkpointing)
        if name in net.return_layers:
            features.append(x[0] if isinstance(x, tuple | list) else x)
            if len(features) == count:
                break
    return features


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


def _run_blocks(net: Any, images: Tensor, count: int) -> list[Tensor]:
    x = net.bn1(net.conv_stem(images))
    x = net.act1(x) if hasattr(net, "act1") else x
    tapped = net._stage_out_idx
    features = [x] if 0 in tapped else []
    for number, block in enumerate(net.blocks, start=1):
        if len(features) == count:
            break
        x = _call(block, x, net.grad_checkpointing)
        if number in tapped:
            features.append(x)
    return features


def _call(module: nn.Module, x: Any, in_checkpoints: bool) -> Any:
    possible = in_checkpoints and module.training and torch.is_grad_enabled()
    changes_its_input = getattr(module, "inplace", False)  # which computing it again would not find
    return checkpointed(module, x) if possible and not changes_its_input else module(x)
