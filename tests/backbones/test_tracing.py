"""What torch users do to a module works: torch.fx, torchvision's feature extractor, averaged models, copies."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from backbones import FeaturePyramid, create_backbone, list_backbones

FAST = ["resnet18", "resnet18d", "resnetv2_18", "res2net50_26w_4s", "cifar_resnet20", "timm/mobilenetv3_small_050"]
SLOW = [name for name in list_backbones() if name not in FAST] + ["timm/convnext_atto", "timm/regnety_002"]
NAMES = [*FAST, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def _same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    """Also where the random weights of 1,202 layers overflow."""
    pairs = [(found[name], level) for name, level in expected.items()]
    return found.keys() == expected.keys() and all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_a_backbone_is_traced(name: str) -> None:
    backbone, images = create_backbone(name).eval(), torch.randn(1, 3, 61, 97)
    with torch.no_grad():
        expected = backbone(images)
        traced = torch.fx.symbolic_trace(backbone)
        assert _same(traced(images), expected)
        (node,) = get_graph_node_names(backbone)[1][-1:]
        extracted = create_feature_extractor(backbone, [node])(images)
    assert list(extracted) == [node]
    with pytest.raises((ValueError, TypeError), match=r"channels|shape"):  # what is checked is checked there too
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


@pytest.mark.parametrize("name", ["resnet18", "timm/mobilenetv3_small_050"])
def test_copies_give_the_same(name: str) -> None:
    backbone, images = create_backbone(name).eval(), torch.randn(1, 3, 64, 64)
    copies: list[nn.Module] = [copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone)), AveragedModel(backbone)]
    with torch.no_grad():
        expected = backbone(images)
        for one in copies:
            assert _same(one.eval()(images), expected)
