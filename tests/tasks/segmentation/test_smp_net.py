"""Every decoder of segmentation-models-pytorch on our backbones: its logits, at any size, with its norms replaced."""

from functools import partial
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from backbones import InputError, create_backbone
from backbones.smp import register_encoders
from tasks.heads import list_heads
from tasks.segmentation.smp_net import SmpNet
from tests.backbones.peers import trained
from tests.heads import head as make_head

# Dilated ones with our own encoder in SMP: SMP dilates the first convolution of a stage as well, which neither
# torchvision nor timm does. SMP's PSPNet stops at c3 by itself; the paper (Zhao et al. 2017) dilates up to c5.
REFERENCES: dict[str, Any] = {
    "unetplusplus": partial(smp.UnetPlusPlus, "resnet18"),
    "manet": partial(smp.MAnet, "resnet18"),
    "linknet": partial(smp.Linknet, "resnet18"),
    "fpn": partial(smp.FPN, "resnet18"),
    "pspnet": partial(smp.PSPNet, "vertebra-resnet18", encoder_depth=5, upsampling=8, output_stride=8),
    "pan": partial(smp.PAN, "vertebra-resnet18"),
    "deeplabv3": partial(smp.DeepLabV3, "vertebra-resnet18"),
    "deeplabv3plus": partial(smp.DeepLabV3Plus, "vertebra-resnet18"),
    "upernet": partial(smp.UPerNet, "resnet18"),
}


def _net(head: str, name: str = "resnet18", norm: str = "batch", **options: Any) -> SmpNet:
    settings = make_head(head, **options)
    net = settings.build(create_backbone(name, norm=norm, output_stride=settings.output_strides[0]), 3, norm)
    assert isinstance(net, SmpNet)
    return net


def test_every_head_is_here() -> None:
    assert set(REFERENCES) | {"unet"} == set(list_heads("segmentation"))


@pytest.mark.parametrize("head", REFERENCES)
def test_equals_smps_model_with_its_weights(head: str) -> None:
    register_encoders()
    reference: Any = trained(REFERENCES[head](encoder_weights=None, classes=3))
    net = _net(head).eval()
    encoder = getattr(reference.encoder, "backbone", reference.encoder)
    net.backbone.load_checkpoint(encoder.state_dict())
    net.decoder.load_state_dict(reference.decoder.state_dict())
    net.segmentation_head.load_state_dict(reference.segmentation_head.state_dict())
    images = torch.randn(2, 3, 128, 256)
    with torch.inference_mode():
        expected = reference(images)
        found = net(images)
    assert len(found) == 1
    assert (found[0] - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", ["resnet18", "timm/convnext_atto"])
@pytest.mark.parametrize("head", REFERENCES)
def test_any_size_trains_one_image_at_a_time_and_uses_every_parameter(head: str, name: str) -> None:
    """convnext hands out no c1."""
    net = _net(head, name).train()
    logits = net(torch.randn(1, 3, 65, 97))[0]
    assert logits.shape == (1, 3, 65, 97)
    logits.square().mean().backward()
    unused = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    assert not unused


@pytest.mark.parametrize("head", REFERENCES)
def test_the_norm_is_the_decoders_too(head: str) -> None:
    if head == "pan":
        with pytest.raises(InputError, match="do not divide a width of 1"):
            _net(head, norm="group")
        return
    net = _net(head, norm="group").train()
    assert not [module for module in net.decoder.modules() if isinstance(module, nn.BatchNorm2d)]
    assert net(torch.randn(1, 3, 64, 64))[0].shape == (1, 3, 64, 64)


@pytest.mark.parametrize("head", REFERENCES)
def test_instance_norm_where_maps_are_more_than_a_pixel(head: str) -> None:
    if head in ("pan", "deeplabv3", "deeplabv3plus", "upernet"):
        with pytest.raises(InputError, match=f"norm 'instance': {head} pools to a map of 1 x 1"):
            _net(head, norm="instance")
        return
    net = _net(head, norm="instance").train()
    assert net(torch.randn(1, 3, 64, 96))[0].shape == (1, 3, 64, 96)


def test_depths_and_attention() -> None:
    net = _net("unetplusplus", decoder_channels=(32, 24, 16), attention="scse").eval()
    assert net(torch.randn(1, 3, 20, 33))[0].shape == (1, 3, 20, 33)
    assert _net("fpn", channels=32).eval()(torch.randn(1, 3, 20, 33))[0].shape == (1, 3, 20, 33)


def test_freezing_holds_in_every_head() -> None:
    for head in REFERENCES:
        net = _net(head)
        net.backbone.pretrained = True
        net.backbone.freeze(3)
        before = {key: value.clone() for key, value in net.backbone.state_dict().items()}
        net.train()(torch.randn(2, 3, 64, 64))[0].square().mean().backward()
        changed = {
            key.split(".")[0] for key, value in net.backbone.state_dict().items() if (value != before[key]).any()
        }
        assert changed == {"layer4"}, head  # its running statistics


def test_a_backbone_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="deeplabv3 takes a backbone of output_stride 8 or 16; this one has 32"):
        make_head("deeplabv3").build(create_backbone("resnet18"), 2, "batch")
    with pytest.raises(InputError, match="fpn needs c2, c3, c4, c5: the backbone hands out c4, not c2"):
        make_head("fpn").build(create_backbone("timm/vit_tiny_patch16_224"), 2, "batch")
    with pytest.raises(InputError, match="images of about 32 px"):
        make_head("fpn").build(create_backbone("cifar_resnet20"), 2, "batch")
