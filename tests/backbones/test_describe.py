import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from backbones import create_backbone
from backbones.describe import describe_backbone


def test_stages_of_a_resnet50() -> None:
    """He et al. 2016, Table 1: sizes at 224 px; the shares are what freezing reports."""
    stages = describe_backbone("resnet50")
    assert [stage.shape for stage in stages] == [
        (64, 112, 112),
        (256, 56, 56),
        (512, 28, 28),
        (1024, 14, 14),
        (2048, 7, 7),
    ]
    assert [stage.stride for stage in stages] == [2, 4, 8, 16, 32]
    assert stages[0].macs == 64 * 3 * 7 * 7 * 112 * 112
    backbone = create_backbone("resnet50")
    backbone.pretrained = True
    for depth in (1, 2, 3, 4):
        backbone.freeze(depth)
        assert stages[depth].frozen == backbone.freeze_report().share


def test_other_channels_and_sizes() -> None:
    grey = describe_backbone("resnet50", 96, in_channels=1)
    assert grey[0].parameters == 64 * 49 + 128
    assert grey[0].macs == 64 * 49 * 48 * 48
    assert grey[4].shape == (2048, 3, 3)


@pytest.mark.parametrize("name", ["timm/hrnet_w18_small", "timm/twins_pcpvt_small", "resnetv2_18"])
def test_the_stages_sum_to_the_whole(name: str) -> None:
    backbone = create_backbone(name).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone(torch.randn(1, 3, 64, 64))
    assert sum(stage.macs for stage in describe_backbone(name, 64)) == counter.get_total_flops() // 2


def test_a_stem_without_a_level() -> None:
    stages = describe_backbone("timm/convnext_atto", 64)
    assert (stages[0].level, stages[0].shape, stages[0].stride) == ("", (), None)
    assert [stage.level for stage in stages[1:]] == ["c2", "c3", "c4", "c5"]
    assert stages[-1].frozen == 1


def test_deformable_convolutions_count_as_the_plain_ones_and_their_offsets() -> None:
    plain, deformable = describe_backbone("resnet50"), describe_backbone("resnet50", deformable_stages=(4,))
    backbone = create_backbone("resnet50", deformable_stages=(4,))
    offsets = [module for name, module in backbone.named_modules() if name.endswith("conv_offset")]
    assert all(isinstance(module, nn.Conv2d) for module in offsets)
    extra = sum(module.weight.numel() * 7 * 7 for module in offsets)  # type: ignore[operator, union-attr]
    assert deformable[4].macs - plain[4].macs == extra


def test_nothing_is_left_on_the_meta_device() -> None:
    describe_backbone("resnet18")
    assert not next(create_backbone("resnet18").parameters()).is_meta
    assert torch.zeros(1).device.type == "cpu"
