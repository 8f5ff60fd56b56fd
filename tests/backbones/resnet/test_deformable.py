from pathlib import Path

import pytest
import torch
from torch.nn import functional

from backbones import create_backbone
from backbones.resnet.deformable import ModulatedDeformConv2d
from tests.backbones.peers import relative_difference, torchvision_model


@pytest.mark.parametrize("name", ["resnet50", "resnext50_32x4d"])
def test_pretrained_weights_give_the_same_on_the_first_step(tmp_path: Path, name: str) -> None:
    torch.save(torchvision_model(name).state_dict(), tmp_path / "w.pth")
    plain = create_backbone(name, weights=tmp_path / "w.pth").eval()
    deformable = create_backbone(name, weights=tmp_path / "w.pth", deformable_stages=(2, 3, 4)).eval()
    assert deformable.load_report is not None
    assert all(".conv_offset." in key for key in deformable.load_report.missing)
    # stage 1 has none, stages 2, 3 and 4 one a block
    assert sum(isinstance(module, ModulatedDeformConv2d) for module in deformable.modules()) == 4 + 6 + 3
    images = torch.randn(1, 3, 97, 65)
    with torch.inference_mode():
        for found, expected in zip(deformable(images).values(), plain(images).values(), strict=True):
            assert relative_difference(found, expected) <= 1e-5


def test_under_bfloat16() -> None:
    backbone = create_backbone("resnet50", deformable_stages=(3,))
    with torch.autocast("cpu", torch.bfloat16):
        level = backbone(torch.randn(2, 3, 64, 64))["c5"]
    level.float().square().mean().backward()
    assert backbone.get_parameter("layer3.1.conv2.weight").grad is not None


def test_offsets_learn() -> None:
    backbone = create_backbone("resnet50", deformable_stages=(4,))
    backbone(torch.randn(2, 3, 64, 64))["c5"].square().mean().backward()
    offset = backbone.get_submodule("layer4.1.conv2.conv_offset")
    assert offset.weight.grad.abs().sum() > 0  # type: ignore[union-attr]


def test_an_offset_moves_the_kernel() -> None:
    """Every tap one pixel to the right is the plain convolution of the image moved one pixel to the left; a
    modulation of a sigmoid's half of two, minus infinity, is nothing."""
    layer = ModulatedDeformConv2d(2, 3, stride=1, dilation=1, groups=1)
    x = torch.randn(1, 2, 7, 7)
    layer.conv_offset.bias.data[1:18:2] = 1.0  # pairs of (dy, dx)
    expected = functional.conv2d(functional.pad(x, (1, 2, 1, 1))[..., 1:], layer.weight)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    layer.conv_offset.bias.data[18:] = -100.0
    assert layer(x).abs().max() < 1e-6
