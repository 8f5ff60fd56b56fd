"""Norms that are held run within the convolutions before them: the same outputs, the same gradients."""

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

import pytest
import torch
from torch import Tensor, nn

from backbones import Backbone
from backbones import held as held_module
from backbones import prefix as prefix_module
from tests.backbones.settling import settled

IMAGES = torch.randn(4, 3, 64, 96, generator=torch.Generator().manual_seed(0)).double()


def _trained(backbone: Backbone, run: Callable[[], dict[str, Tensor]]) -> tuple[dict[str, Any], ...]:
    backbone.zero_grad()
    torch.manual_seed(1)  # of stochastic depth
    levels = run()
    torch.stack([level.square().mean() for level in levels.values() if level.requires_grad]).sum().backward()
    return levels, {name: one.grad for name, one in backbone.named_parameters() if one.grad is not None}


def _plain(backbone: Backbone) -> dict[str, Tensor]:
    return backbone.run_stages(IMAGES, 0, len(backbone.stages()) - 1)[1]


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_module, "_WORTH", 0.0)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("frozen", [0, 2])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"drop_path": 0.3}),
        ("resnetv2_18", {}),
        ("resnet18", {"norm": "frozen"}),
        *(
            pytest.param(one, {}, marks=pytest.mark.slow)
            for one in (
                "resnet50",
                "seresnet50",
                "res2net50_26w_4s",
                "timm/efficientnet_lite0",
                "timm/densenet121",
                "timm/dla34",
            )
        ),
    ],
)
def test_outputs_and_gradients_are_the_same(name: str, options: dict[str, Any], frozen: int) -> None:
    backbone = settled(name, **options).double()
    backbone.freeze(frozen)
    backbone.hold_norms()
    backbone.train()
    levels, gradients = _trained(backbone, lambda: backbone(IMAGES))
    assert backbone in held_module._copies
    gradients = {name: gradient.clone() for name, gradient in gradients.items()}
    wanted, others = _trained(backbone, lambda: _plain(backbone))
    torch.testing.assert_close(levels, wanted, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(gradients, others, rtol=1e-7, atol=1e-9)


@pytest.mark.usefixtures("always")
def test_weights_move_and_are_followed() -> None:
    backbone = settled("resnet18").double()
    backbone.hold_norms()
    optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1)
    for _ in range(2):
        _trained(backbone.train(), lambda: backbone(IMAGES))
        optimizer.step()
    torch.testing.assert_close(backbone(IMAGES), _plain(backbone), rtol=1e-9, atol=1e-11)
    assert len(held_module._copies[backbone].norms) == 20


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("way", ["not held", "checkpointing", "hook", "no gradient", "half"])
def test_the_plain_path_otherwise(way: str) -> None:
    backbone = settled("resnet18", grad_checkpointing=way == "checkpointing")
    backbone.hold_norms(way != "not held")
    images = IMAGES.float()
    if way == "hook":
        backbone.get_submodule("layer4.0.bn1").register_forward_hook(lambda *_: None)
    if way == "half":
        backbone, images = backbone.bfloat16(), images.bfloat16()
    with torch.set_grad_enabled(way != "no gradient"):
        backbone.train()(images)
    assert backbone not in held_module._copies


def test_where_the_activations_are_few_weights_are_not_scaled() -> None:
    backbone = settled("resnet18")
    backbone.hold_norms()
    copies: Any = held_module._copies
    backbone.train()(IMAGES.float())
    assert not copies[backbone].pays(IMAGES)
    assert copies[backbone].pays(torch.empty(8, 3, 640, 640, device="meta"))


def test_a_change_of_the_network_is_seen() -> None:
    backbone = settled("resnet18")
    backbone.hold_norms()
    backbone.train()(IMAGES.float())
    before = held_module._copies[backbone]
    backbone.layer4[0].relu = nn.ReLU6()  # type: ignore[index, operator, union-attr]
    backbone(IMAGES.float())
    assert held_module._copies[backbone] is not before


def test_a_backbone_that_nobody_has_is_gone() -> None:
    backbone = settled("resnet18")
    backbone.freeze(1)
    backbone.hold_norms()
    backbone.train()(IMAGES.float())
    assert backbone in held_module._copies
    assert backbone in prefix_module._prefixes
    gone = ref(backbone)
    del backbone
    gc.collect()
    assert gone() is None
