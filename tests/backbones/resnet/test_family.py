"""The variants beyond torchvision's, against timm's networks, the papers' sizes and each other."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from backbones import Backbone, FeaturePyramid, InputError, create_backbone, list_backbones
from backbones.describe import describe_backbone
from tests.backbones.peers import (
    TIMM,
    TIMM_V2,
    deep_ones_slow,
    relative_difference,
    taps,
    timm_model,
    torchvision_model,
)

SAME_KEYS = ["resnet18d", "resnet34d", "resnet50d", "resnet101d", "resnet152d", "res2net50_26w_4s"]
SAME_KEYS += ["res2net101_26w_4s", "seresnet50", "ecaresnet50", "cbamresnet50"]
PREACTIVATED = ["resnetv2_18", "resnetv2_34", "resnetv2_50", "resnetv2_101", "resnetv2_152"]


def _load(name: str, reference: nn.Module, **options: object) -> Backbone:
    backbone = create_backbone(name, **options)  # type: ignore[arg-type]
    backbone.load_checkpoint(reference.state_dict())
    return backbone.eval()


@pytest.mark.parametrize("name", deep_ones_slow(SAME_KEYS))
def test_equals_timm(name: str) -> None:
    reference = timm_model(name)
    state = {key: value for key, value in reference.state_dict().items() if not key.startswith("fc.")}
    backbone = create_backbone(name).eval()
    assert list(backbone.state_dict()) == list(state)
    backbone.load_state_dict(state, strict=True)
    images = torch.randn(1, 3, 97, 131)
    with torch.inference_mode():
        levels = backbone(images)
    for level, expected in zip(levels.values(), taps(reference, TIMM, images), strict=True):
        assert relative_difference(level, expected) <= 1e-5


def test_preactivated_networks_expect_the_same_images_when_they_are_loaded_again(tmp_path: Path) -> None:
    """timm's mean and std: a state dict has none, and no other weights are published."""
    first = _load("resnetv2_18", timm_model("resnetv2_18"))
    torch.save(first.state_dict(), tmp_path / "mine.pth")
    again = create_backbone("resnetv2_18", weights=tmp_path / "mine.pth")
    assert again.mean == again.std == first.mean == first.std == (0.5, 0.5, 0.5)
    assert create_backbone("resnetv2_18", in_channels=1).mean == (0.5,)


@pytest.mark.parametrize("name", deep_ones_slow(PREACTIVATED))
def test_preactivated_equals_timm(name: str) -> None:
    """Equal where nothing is normalised yet, and on norm(c5); the norms of the finer levels are new."""
    reference = timm_model(name)
    backbone = _load(name, reference)
    report = backbone.load_report
    assert report is not None
    assert report.unexpected == ()
    assert {key.split(".")[1] for key in report.missing} == {"c1", "c2", "c3", "c4"}
    assert all(key.startswith("taps.") for key in report.missing)
    assert set(report.left_out) == {"head.fc.weight", "head.fc.bias"}
    assert backbone.mean == backbone.std == (0.5, 0.5, 0.5)

    images = torch.randn(1, 3, 97, 131)
    raw = taps(backbone, ("conv1", "layer1", "layer2", "layer3", "layer4"), images)
    for level, expected in zip(raw, taps(reference, TIMM_V2, images), strict=True):
        assert relative_difference(level, expected) <= 1e-5
    with torch.inference_mode():
        levels = backbone(images)
        (norm,) = taps(reference, ("norm",), images)
    assert relative_difference(levels["c5"], norm) <= 1e-5
    assert all(level.min() >= 0 for level in levels.values())  # no raw taps: a ReLU on every level


def test_bit_networks_are_no_resnetv2(tmp_path: Path) -> None:
    torch.save(timm.create_model("resnetv2_50x1_bit").state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match="BiT network"):
        create_backbone("resnetv2_50", norm="group", weights=tmp_path / "w.pth")


@pytest.mark.parametrize("output_stride", [8, pytest.param(16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["resnet18", "resnet50d", "resnetv2_18", "resnetv2_50", "res2net50_26w_4s"])
def test_dilated_equals_timm(name: str, output_stride: int) -> None:
    reference = timm_model(name, output_stride=output_stride)
    backbone = _load(name, reference, output_stride=output_stride)
    assert [info.stride for info in backbone.features] == [min(2**n, output_stride) for n in range(1, 6)]
    images = torch.randn(1, 3, 65, 97)
    names = TIMM_V2 if name in PREACTIVATED else TIMM
    found = taps(backbone, ("layer1", "layer2", "layer3", "layer4"), images)
    for level, expected in zip(found, taps(reference, names[1:], images), strict=True):
        assert relative_difference(level, expected) <= 1e-5


@pytest.mark.parametrize("name", ["dyresnet18", "dyresnet50"])
def test_gated_starts_as_the_plain_network(name: str) -> None:
    reference = torchvision_model(name.removeprefix("dy"))
    backbone = _load(name, reference)
    assert backbone.load_report is not None
    assert all(".gate." in key for key in backbone.load_report.missing)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        (expected,) = taps(reference, ("layer4",), images)
        assert relative_difference(backbone(images)["c5"], expected) <= 1e-5

    block = backbone.get_submodule("layer1.1")
    nn.init.constant_(block.gate.fc.bias, -1e9)  # the branch is weighed away: x + 0 F(x)
    x = torch.rand(2, block.gate.fc.in_features, 8, 8)
    assert torch.equal(block(x), x)
    nn.init.normal_(block.gate.fc.weight)
    nn.init.zeros_(block.gate.fc.bias)
    weights = block.gate(x)
    assert weights.shape == (2, 1, 1, 1)
    assert weights[0] != weights[1]  # a scalar a sample, from the sample


# He et al. 2016, Table 6; Zagoruyko and Komodakis 2016, Table 4. Millions of parameters with the classifier.
CIFAR_MILLIONS = {
    "cifar_resnet20": 0.27,
    "cifar_resnet32": 0.46,
    "cifar_resnet44": 0.66,
    "cifar_resnet56": 0.85,
    "cifar_resnet110": 1.7,
    "cifar_resnet1202": 19.4,
    "cifar_wrn28_10": 36.5,
}


@pytest.mark.parametrize(("name", "millions"), CIFAR_MILLIONS.items())
def test_cifar_networks_have_the_papers_sizes(name: str, millions: float) -> None:
    with torch.device("meta"):
        backbone = create_backbone(name)
    assert [(info.name, info.stride) for info in backbone.features] == [("c0", 1), ("c1", 2), ("c2", 4)]
    classifier = (backbone.features[-1].channels + 1) * 10
    digits = 1 if millions > 1 else 2
    assert round((backbone.num_parameters() + classifier) / 1e6, digits) == millions
    convolutions = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    layers = 1 + sum(conv.kernel_size != (1, 1) for conv in convolutions)
    if "wrn" not in name:  # whose 28 counts the shortcuts' projections
        assert name == f"cifar_resnet{layers}"


def test_plain_networks_are_the_residual_ones_without_shortcuts() -> None:
    plain, residual = create_backbone("cifar_plain20").eval(), create_backbone("cifar_resnet20").eval()
    residual.load_state_dict(plain.state_dict())
    x = torch.rand(1, 16, 8, 8)
    block = plain.get_submodule("layer1.0")
    assert torch.equal(block(x), block.relu(block.branch(x)))
    counterpart = residual.get_submodule("layer1.0")
    assert torch.equal(counterpart(x), block.relu(block.branch(x) + x))
    for options in ({"drop_path": 0.1}, {"init": "zero_last"}):
        with pytest.raises(InputError, match="plain network"):
            create_backbone("cifar_plain20", **options)  # type: ignore[arg-type]


def test_option_a_pads_with_zeros() -> None:
    """He et al. 2016, section 4.2: identity shortcuts, extra channels zero."""
    shortcut = create_backbone("cifar_resnet20").get_submodule("layer2.0.downsample")
    x = torch.randn(1, 16, 5, 4)
    out = shortcut(x)
    assert out.shape == (1, 32, 3, 2)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert out[:, :8].abs().sum() == out[:, 24:].abs().sum() == 0


@pytest.mark.parametrize("name", deep_ones_slow([name for name in list_backbones() if name.startswith("cifar")]))
def test_networks_for_small_images_feed_no_pyramid(name: str) -> None:
    with torch.device("meta"):
        backbone = create_backbone(name)
    with pytest.raises(InputError, match=r"images of about 32 px: its stem has stride 1 .* take resnet18"):
        FeaturePyramid(backbone)


def test_zero_last_makes_preactivated_blocks_the_identity() -> None:
    block = create_backbone("resnetv2_50", init="zero_last").get_submodule("layer1.1").eval()
    x = torch.randn(1, 256, 8, 8)
    assert torch.equal(block(x), x)


def test_a_bottleneck_costs_what_the_paper_says() -> None:
    """He et al. 2016, section 4.1: 256-64-64-256 against two 3x3 of 256."""
    bottleneck = create_backbone("resnet50").get_submodule("layer1.1")
    weights = [module.weight.numel() for module in bottleneck.modules() if isinstance(module, nn.Conv2d)]
    assert sum(weights) == 69_632
    basic = create_backbone("resnet18").get_submodule("layer3.1")
    assert basic.conv1.weight.numel() + basic.conv2.weight.numel() == 1_179_648


PUBLISHED_GIGA_MACS = {"resnet18": 1.81, "resnet34": 3.66, "resnet50": 4.09, "resnet101": 7.80, "resnet152": 11.51}


@pytest.mark.parametrize(("name", "giga"), PUBLISHED_GIGA_MACS.items())
def test_multiply_adds_are_the_published_ones(name: str, giga: float) -> None:
    assert round(sum(stage.macs for stage in describe_backbone(name)) / 1e9, 2) == giga


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cifar_resnet20", {"output_stride": 16}, "stride 4 at its deepest"),
        ("resnetv2_18", {"stride_in_1x1": True}, "PreActBasicBlock has no 1x1"),
        ("res2net50_26w_4s", {"norm": "group"}, "104 channels do not divide"),
        ("res2net50_26w_4s", {"deformable_stages": (3,)}, "this network is of Res2Bottlenecks"),
        ("resnet18", {"deformable_stages": (1,)}, "this network is of BasicBlocks"),
        ("resnet50", {"deformable_stages": (1, 2)}, r"deformable_stages \(1, 2\) is not possible"),
        ("resnet50", {"output_stride": 4}, "output_stride 4"),
    ],
)
def test_what_a_variant_cannot_have_is_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_backbone(name, **options)  # type: ignore[arg-type]
