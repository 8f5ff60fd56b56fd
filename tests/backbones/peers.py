"""Networks of torchvision and timm to compare with, their norms as if they had been trained."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
import timm
import torch
import torchvision
from timm.models.resnet import Bottleneck, ResNet
from torch import Tensor, nn

TORCHVISION = ("relu", "layer1", "layer2", "layer3", "layer4")
TIMM = ("act1", "layer1", "layer2", "layer3", "layer4")
TIMM_V2 = ("stem.conv", "stages.0", "stages.1", "stages.2", "stages.3")

# timm has the blocks of these two, but no model of their plain ResNet-50 shape.
_BLOCKS = {"ecaresnet50": "eca", "cbamresnet50": "cbam"}


def deep_ones_slow(names: Sequence[str]) -> list[Any]:
    """Parameters for pytest: the deeper sisters of networks that the suite runs anyway are marked slow."""
    deep = re.compile(r"34d?$|101|152|1202|110")
    return [pytest.param(name, marks=pytest.mark.slow) if deep.search(name) else name for name in names]


def torchvision_model(name: str, **options: object) -> nn.Module:
    return trained(torchvision.models.get_model(name, **options))


def timm_model(name: str, **options: object) -> nn.Module:
    if name in _BLOCKS:
        return trained(ResNet(Bottleneck, [3, 4, 6, 3], block_args={"attn_layer": _BLOCKS[name]}, **options))
    return trained(timm.create_model(name, **options))


def trained(model: nn.Module) -> nn.Module:
    """In eval, with batch norms that are not the identity."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.0, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return model.eval()


def taps(model: nn.Module, names: tuple[str, ...], images: Tensor) -> list[Tensor]:
    """What the named modules give for `images`; of one that is used twice, the first time."""
    found: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(name).register_forward_hook(
            lambda _m, _i, output, name=name: found.setdefault(name, output.clone())
        )
        for name in names
    ]
    with torch.inference_mode():
        model(images)
    for handle in handles:
        handle.remove()
    return [found[name] for name in names]


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest magnitude."""
    assert found.shape == expected.shape
    return ((found - expected).abs().max() / expected.abs().max()).item()
