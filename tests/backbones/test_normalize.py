"""Normalising: torchvision's figures, the backbone's own mean and std, and no trace in the state dict."""

import copy

import torch
from torchvision.transforms.v2.functional import normalize, to_dtype

from backbones import Normalize, create_backbone
from tasks import create_task


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


def test_nothing_of_it_is_in_the_state_dict() -> None:
    module = Normalize(create_backbone("resnet18"))
    module(torch.zeros(3, 4, 4, dtype=torch.uint8))
    assert not module.state_dict()
    assert not list(module.buffers())
    assert module.half()(torch.zeros(3, 4, 4, dtype=torch.uint8)).dtype == torch.float32


def test_a_model_made_on_the_meta_device_normalises_too() -> None:
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    real = create_task("segmentation", create_backbone("resnet18"), ["a", "b"]).model.eval()
    with torch.device("meta"):
        model = create_task("segmentation", create_backbone("resnet18"), ["a", "b"]).model.eval()
    model.to_empty(device="cpu").load_state_dict(real.state_dict())
    with torch.inference_mode():
        assert torch.equal(model(images)[0], real(images)[0])
