"""Normalising: torchvision's figures, the backbone's own mean and std, and no trace in the state dict."""

import copy

import torch
from torchvision.transforms.v2.functional import normalize, to_dtype

from backbones import Normalize, create_backbone


def test_equals_torchvisions_normalize() -> None:
    backbone = create_backbone("resnet18")
    images = torch.randint(0, 256, (2, 3, 8, 9), dtype=torch.uint8)
    expected = normalize(to_dtype(images, torch.float32, scale=True), list(backbone.mean), list(backbone.std))
    torch.testing.assert_close(Normalize(backbone)(images), expected)
    torch.testing.assert_close(Normalize(backbone)(images[0]), expected[0])


def test_follows_weights_that_are_loaded_later() -> None:
    backbone = create_backbone("resnet18")
    module = Normalize(backbone)
    backbone.mean, backbone.std = (0.5,) * 3, (0.25,) * 3
    white = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    assert (module(white) == 2).all()
    twice = copy.deepcopy(torch.nn.ModuleList([backbone, module]))
    twice[0].mean = (0.0,) * 3
    assert (twice[1](white) == 4).all(), "a copy follows its own copy of the backbone"
    assert (module(white) == 2).all()


def test_is_not_in_the_state_dict_and_moves_with_the_model() -> None:
    module = Normalize(create_backbone("resnet18"))
    assert not module.state_dict()
    assert not list(module.parameters())
    assert module.to("meta").mean.device.type == "meta"
