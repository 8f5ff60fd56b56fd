"""A backbone that hands out some of its levels alone, as heads that need no more ask of it."""

import math

import pytest
import torch
from segmentation_models_pytorch import Unet

from backbones import Backbone, InputError, create_backbone
from backbones.smp import register_encoders
from tasks import create_task
from tests.heads import head as make_head

# Ours, and one of every kind that timm runs in its own way.
NAMES = (
    "resnet18",
    "resnetv2_18",
    "cifar_resnet20",
    "timm/convnext_atto",
    "timm/mobilenetv3_small_050",
    "timm/efficientnet_lite0",
    pytest.param("timm/mvitv2_tiny", marks=pytest.mark.slow),
    "timm/hrnet_w18_small",
)


def _levels(backbone: Backbone) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return backbone(torch.randn(2, 3, 96, 128))


@pytest.mark.parametrize("name", NAMES)
def test_levels_in_use_are_what_they_were_and_need_nothing_of_the_rest(name: str) -> None:
    backbone = create_backbone(name).eval()
    keys, names = list(backbone.state_dict()), [info.name for info in backbone.features]
    with torch.no_grad():
        expected = _levels(backbone)
    backbone.use_levels(names[:2])
    assert list(backbone.levels_in_use) == names[:2]
    assert [info.name for info in backbone.features] == names
    idle = [parameter for parameter in backbone.parameters() if not parameter.requires_grad]
    assert idle
    with torch.no_grad():
        for parameter in idle:
            parameter.fill_(math.nan)
    found = _levels(backbone)
    assert list(found) == names[:2]
    for level in found:
        assert torch.equal(found[level], expected[level])
    torch.stack([level.sum() for level in found.values()]).sum().backward()
    assert not [name for name, one in backbone.named_parameters() if one.requires_grad and one.grad is None]
    assert list(backbone.state_dict()) == keys


@pytest.mark.parametrize("name", [name for name in NAMES if "hrnet" not in name])
def test_what_lies_beyond_is_not_run(name: str) -> None:
    """HRNet's finest level needs all of it."""
    backbone = create_backbone(name)
    finest = backbone.features[0].name
    backbone.use_levels([finest])
    beyond = [module for stage in backbone.stages()[-2:] for module in stage]
    ran = []
    for module in beyond:
        module.register_forward_hook(lambda *_: ran.append(1))
    assert list(_levels(backbone)) == [finest]
    assert not ran
    backbone.use_levels(None)
    _levels(backbone)
    assert ran


def test_a_level_between_is_left_out_with_what_only_it_needs() -> None:
    backbone = create_backbone("resnetv2_18")
    backbone.use_levels(["c2", "c5"])
    idle = [name for name, parameter in backbone.named_parameters() if not parameter.requires_grad]
    assert idle == [f"taps.{level}.{kind}" for level in ("c1", "c3", "c4") for kind in ("weight", "bias")]


def test_freezing_and_thawing_leave_what_is_not_in_use_alone() -> None:
    backbone = create_backbone("resnet18")
    backbone.pretrained = True
    backbone.use_levels(["c1", "c2", "c3"])
    layers = [backbone.get_submodule(f"layer{number}") for number in (1, 2, 3, 4)]

    def free() -> list[bool]:
        return [any(parameter.requires_grad for parameter in layer.parameters()) for layer in layers]

    assert free() == [True, True, False, False]
    said = "; stages 3-4 are not used: the levels in use are c1, c2, c3"
    assert str(backbone.freeze(1)).endswith(said)
    assert free() == [False, True, False, False]
    assert str(backbone.freeze("1-3")).endswith(f"{said}, so that freezing them changes nothing")
    assert free() == [False] * 4
    backbone.unfreeze()
    assert free() == [True, True, False, False]
    trained = sum(parameter.numel() for parameter in backbone.parameters() if parameter.requires_grad)
    assert str(backbone.freeze_report()) == (
        f"nothing frozen: {trained:,} of {backbone.num_parameters():,} parameters of the backbone train{said}"
    )
    backbone.use_levels(None)
    assert free() == [True] * 4


def test_two_heads_on_one_backbone_keep_the_levels_of_both() -> None:
    backbone = create_backbone("resnet18")
    unet = create_task("segmentation", backbone, ["a", "b"], head=make_head("unet", decoder_channels=(8, 8, 8)))
    detector = create_task("detection", backbone, ["a"], head="retinanet")
    assert backbone.levels_in_use == ("c1", "c2", "c3", "c4", "c5")
    assert unet.model(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))[0].shape == (1, 2, 64, 64)
    assert detector.model.eval()([torch.zeros(3, 64, 64, dtype=torch.uint8)])


def test_what_is_held_by_hand_stays_held() -> None:
    backbone = create_backbone("resnet18")
    backbone.get_submodule("layer1").requires_grad_(False)
    backbone.use_levels(["c1", "c2", "c3"])
    backbone.use_levels(None)
    free = {name.partition(".")[0] for name, one in backbone.named_parameters() if one.requires_grad}
    assert free == {"conv1", "bn1", "layer2", "layer3", "layer4"}


def test_levels_that_there_are_not_are_refused() -> None:
    backbone = create_backbone("timm/convnext_atto")
    for levels, message in ((["c1"], "there is no level 'c1' .*hands out c2, c3, c4, c5"), ([], "no level is named")):
        with pytest.raises(InputError, match=message):
            backbone.use_levels(levels)
    assert backbone.levels_in_use == ("c2", "c3", "c4", "c5")


@pytest.mark.parametrize("depth", [3, 4])
def test_encoders_of_less_depth_have_no_parameter_without_a_gradient(depth: int) -> None:
    register_encoders()
    widths = (32, 16, 16, 8)[:depth]
    model = Unet("vertebra-resnetv2_18", encoder_weights=None, encoder_depth=depth, decoder_channels=widths)
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert not [name for name, one in model.named_parameters() if one.requires_grad and one.grad is None]
