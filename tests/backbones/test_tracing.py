"""torch.fx and torchvision's feature extractor on what is built from backbones; torch.jit says what it cannot do."""

import pytest
import segmentation_models_pytorch as smp
import torch
from torchvision.models.feature_extraction import create_feature_extractor

from backbones import FeaturePyramid, create_backbone
from backbones.smp import register_encoders


def _same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    """Also where the random weights of 1,202 layers overflow."""
    pairs = [(found[name], level) for name, level in expected.items()]
    return found.keys() == expected.keys() and all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


def test_what_is_checked_is_checked_where_a_backbone_is_traced() -> None:
    """That each backbone is traced at all is a promise of `check_backbone`."""
    traced = torch.fx.symbolic_trace(create_backbone("resnet18"))
    with pytest.raises(ValueError, match="shape"):
        traced(torch.randn(1, 5, 61, 97))


@pytest.mark.parametrize("levels", [("p2", "p6"), ("p3", "p7")])
def test_a_pyramid_is_traced(levels: tuple[str, str]) -> None:
    extra = "pool" if levels[1] == "p6" else "conv"
    pyramid = FeaturePyramid(create_backbone("resnet18"), 32, levels=levels, extra=extra).eval()  # type: ignore[arg-type]
    images = torch.randn(2, 3, 64, 96)
    plain = pyramid.as_torchvision()
    with torch.no_grad():
        for module in (pyramid, plain):
            assert _same(torch.fx.symbolic_trace(module)(images), module(images))
        assert _same(create_feature_extractor(plain, {"fpn": "levels"})(images)["levels"], plain(images))


def test_extracted_features_are_torchvisions() -> None:
    import torchvision

    peer = torchvision.models.resnet18().eval()
    backbone = create_backbone("resnet18").eval()
    backbone.load_checkpoint(peer.state_dict())
    images = torch.randn(1, 3, 64, 64)
    nodes = {"layer2.1.relu_1": "a", "layer4.0.downsample.0": "b"}
    with torch.no_grad():
        theirs = create_feature_extractor(peer, nodes)(images)
        assert _same(create_feature_extractor(backbone, nodes)(images), theirs)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")
def test_what_cannot_be_scripted_says_what_can_be_done() -> None:
    register_encoders()
    backbone, unet = create_backbone("resnet18"), smp.Unet("vertebra-resnet18", encoder_weights=None)
    for module in (backbone, FeaturePyramid(backbone), unet, unet.encoder):
        with pytest.raises(NotImplementedError, match=r"torch\.jit\.script cannot .* torch\.export\.export"):
            torch.jit.script(module)
