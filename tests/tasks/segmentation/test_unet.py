"""U-Net against segmentation-models-pytorch's own, at any size, with and without its auxiliary heads."""

from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from backbones import InputError, create_backbone
from tasks import create_task
from tasks.heads import list_heads
from tasks.segmentation.unet import UNet, downsized
from tests.heads import head as make_head

SMALL = (64, 48, 32, 24, 16)
OTHERS = [name for name in list_heads("segmentation") if name not in ("unet", "linknet")]


def _unet(name: str = "resnet18", norm: str = "batch", classes: int = 3, **options: Any) -> UNet:
    return UNet(create_backbone(name, norm=norm), classes, norm=norm, **{"decoder_channels": SMALL, **options})


@pytest.mark.parametrize("depth", [3, 4, 5])
@pytest.mark.parametrize("attention", ["none", "scse"])
def test_equals_smps_unet_with_its_weights(depth: int, attention: str) -> None:
    reference = smp.Unet(
        "resnet18",
        encoder_depth=depth,
        encoder_weights=None,
        decoder_channels=SMALL[-depth:],
        decoder_attention_type=None if attention == "none" else attention,
        classes=3,
    ).eval()
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    net = _unet(decoder_channels=SMALL[-depth:], attention=attention).eval()
    net.backbone.load_checkpoint(reference.encoder.state_dict())
    net.decoder.load_state_dict(reference.decoder.state_dict())
    net.segmentation_head.load_state_dict(reference.segmentation_head.state_dict())
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        expected = reference(images)
        found = net(images)
    assert len(found) == 1
    assert (found[0] - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_center_block_is_two_more_convolutions() -> None:
    net = _unet(center=True).eval()
    assert sum(isinstance(module, nn.Conv2d) for module in net.decoder.center.modules()) == 2
    assert net(torch.randn(1, 3, 64, 64))[0].shape == (1, 3, 64, 64)


@pytest.mark.parametrize("size", [(97, 131), (20, 33), (1, 1), (64, 64)])
@pytest.mark.parametrize("name", ["resnet18", "timm/convnext_atto"])
def test_any_size_without_padding(name: str, size: tuple[int, int]) -> None:
    """convnext hands out no c1: that skip has no channels."""
    net = _unet(name).eval()
    with torch.inference_mode():
        assert net(torch.randn(1, 3, *size))[0].shape == (1, 3, *size)


def test_deep_supervision_gives_every_level_and_its_heads_learn() -> None:
    net = _unet(deep_supervision=True).train()
    levels = net(torch.randn(2, 3, 64, 96))
    assert [tuple(level.shape[2:]) for level in levels] == [(64, 96), (32, 48), (16, 24), (8, 12), (4, 6)]
    torch.stack([level.square().mean() for level in levels]).sum().backward()
    for head in net.aux_heads:
        assert head.weight.grad.abs().sum() > 0  # type: ignore[union-attr]
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_the_flag_changes_neither_the_keys_nor_what_is_predicted() -> None:
    on, off = _unet(deep_supervision=True), _unet()
    off.load_state_dict(on.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(on.eval()(images)[0], off.eval()(images)[0])
    assert [parameter.requires_grad for parameter in off.aux_heads.parameters()] == [False] * 8
    assert len(off.train()(torch.randn(2, 3, 64, 64))) == 1


@pytest.mark.parametrize(("norm", "kind"), [("instance", nn.InstanceNorm2d), ("group", nn.GroupNorm)])
def test_the_decoders_norms_follow_and_are_right_at_batch_1(norm: str, kind: type[nn.Module]) -> None:
    net = _unet(norm=norm).train()
    norms = [module for module in net.modules() if "Norm" in type(module).__name__]
    assert all(isinstance(module, kind) and module.eps == 1e-5 for module in norms)  # type: ignore[attr-defined]
    assert all(module.weight is not None for module in norms)
    images = torch.randn(2, 3, 64, 96)
    together = net(images)[0]
    apart = torch.cat([net(images[:1])[0], net(images[1:])[0]])
    torch.testing.assert_close(together, apart, rtol=1e-3, atol=1e-4)


def test_backbones_that_lack_a_level_are_refused() -> None:
    with pytest.raises(InputError, match="the backbone hands out c4, not c2"):
        _unet("timm/vit_tiny_patch16_224")
    with pytest.raises(InputError, match="images of about 32 px"):
        _unet("cifar_resnet20")


def test_freezing_holds_in_the_model() -> None:
    backbone = create_backbone("resnet18")
    backbone.pretrained = True
    backbone.freeze(3)
    net = UNet(backbone, 2, decoder_channels=SMALL).train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    net(torch.randn(2, 3, 64, 64))[0].mean().backward()
    after = backbone.state_dict()
    changed = {key.split(".")[0] for key, value in before.items() if not torch.equal(value, after[key])}
    assert changed == {"layer4"}  # its running statistics


def test_downsized_labels_are_labels_that_were_there() -> None:
    mask = torch.tensor([[[0, 7, 255, 2]] * 4])
    small: Tensor = downsized(mask, (2, 2))
    assert set(small.flatten().tolist()) <= {0, 7, 255, 2}
    assert small.shape == (1, 2, 2)


@pytest.mark.parametrize("name", ["unet", "linknet", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_is_exported_for_any_batch(name: str) -> None:
    head = make_head(name)
    backbone = create_backbone("resnet18", output_stride=head.output_strides[0])
    network = create_task("segmentation", backbone, ["a", "b"], head=head).model.net.eval()  # type: ignore[union-attr, operator]
    shapes = {"images": {0: torch.export.Dim("batch", min=1, max=16)}}
    with torch.no_grad():
        program = torch.export.export(network, (torch.randn(2, 3, 256, 256),), dynamic_shapes=shapes)
        for batch in (1, 3):
            images = torch.randn(batch, 3, 256, 256)
            torch.testing.assert_close(program.module()(images)[0], network(images)[0], rtol=1e-4, atol=1e-4)
