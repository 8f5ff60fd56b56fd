"""A timm model run no further than to the last level in use."""

from collections.abc import Sequence
from typing import Any

from timm.models import checkpoint
from torch import Tensor, nn


def run(net: Any, images: Tensor, count: int) -> Sequence[Tensor]:
    """The first `count` features, or more.

    Args:
        net: made with `features_only`. Those that timm reads through hooks, and HRNet, whose finest level needs all of
            it, run to their end.
    """
    kind = type(net).__name__
    if count < len(net.feature_info.channels()):
        if kind == "FeatureListNet":
            return _run_modules(net, images, count)
        if kind == "FeatureGetterNet":
            return _run_getter(net, images, count)
        if kind in ("EfficientNetFeatures", "MobileNetV3Features") and net.feature_hooks is None:
            return _run_blocks(net, images, count)
    features: Sequence[Tensor] = net(images)
    return features


def _run_modules(net: Any, x: Any, count: int) -> list[Tensor]:
    features: list[Tensor] = []
    for position, (name, module) in enumerate(net.items()):
        x = _call(module, x, net.grad_checkpointing and position > 0)
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


def _call(module: nn.Module, x: Any, checkpointed: bool) -> Any:
    skipped = getattr(module, "inplace", False)  # what is computed again must find its input as it was
    return checkpoint(module, x) if checkpointed and not skipped else module(x)
