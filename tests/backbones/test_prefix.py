import copy
import pickle
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from backbones import Backbone, create_backbone
from backbones import prefix as prefix_module
from tests.backbones.settling import settled

IMAGES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Backbone]]:
    """The backbones that a folded copy was made for, in order."""
    calls: list[Backbone] = []
    fold = prefix_module._fold_prefix
    monkeypatch.setattr(
        prefix_module, "_fold_prefix", lambda backbone, *rest: calls.append(backbone) or fold(backbone, *rest)
    )
    return calls


def _plain(backbone: Backbone, images: Tensor = IMAGES) -> dict[str, Tensor]:
    return backbone.run_stages(images, 0, len(backbone.stages()) - 1)[1]


def _check(backbone: Backbone, images: Tensor = IMAGES) -> None:
    levels = backbone(images)
    for name, wanted in _plain(backbone, images).items():
        wanted = wanted[..., : levels[name].shape[2], : levels[name].shape[3]]  # where images were padded for it
        assert (levels[name] - wanted).abs().max() <= 1e-5 * wanted.abs().max(), name


QUICK = [("resnet18", 1), ("resnet18", 4), ("resnetv2_18", 2), ("timm/efficientnet_lite0", 3)]
TIMM = [f"timm/{name}" for name in ("efficientnet_lite0", "regnety_002", "densenet121", "convnext_atto", "dla34")]
OTHERS = ["resnet18", "resnetv2_18", "resnet50", "res2net50_26w_4s", "dyresnet18", *TIMM]
SLOW = [(name, depth) for name in OTHERS for depth in range(1, 5) if (name, depth) not in QUICK]


@pytest.mark.parametrize(("name", "depth"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)])
def test_frozen_stages_give_the_same(name: str, depth: int, made: list[Backbone]) -> None:
    torch.manual_seed(0)
    backbone = create_backbone(name).eval()
    backbone.pretrained = True
    backbone.freeze(depth)
    _check(backbone)
    _check(backbone, torch.randn(1, 3, 97, 131))
    assert len(made) == 1


def test_it_is_made_once(made: list[Backbone]) -> None:
    backbone = settled("resnet18")
    backbone.freeze(2)
    for _ in range(3):
        backbone.train()(IMAGES)
        with torch.no_grad():
            backbone.eval()(IMAGES)
    assert made == [backbone]


def test_what_thaws_trains(made: list[Backbone]) -> None:
    backbone = settled("resnet18")
    backbone.freeze(3)
    backbone(IMAGES)
    backbone.freeze(1)
    torch.stack([level.sum() for level in backbone(IMAGES).values()]).sum().backward()
    assert backbone.get_parameter("layer2.0.conv1.weight").grad is not None
    assert backbone.get_parameter("layer1.0.conv1.weight").grad is None
    backbone.unfreeze()
    _check(backbone)
    assert len(made) == 2


def _in_place(backbone: Backbone) -> None:
    with torch.no_grad():
        backbone.get_parameter("layer1.0.conv1.weight").mul_(1.5)


def _statistics(backbone: Backbone) -> None:
    backbone.get_buffer("layer1.0.bn1.running_var").add_(1.0)


def _loaded(backbone: Backbone) -> None:
    backbone.load_state_dict(
        settled("resnet18", in_channels=3).state_dict() | {"conv1.weight": torch.randn(64, 3, 7, 7)}
    )


def _replaced(backbone: Backbone) -> None:
    backbone.layer1[0].conv1 = nn.Conv2d(64, 64, 3, padding=1, bias=False).requires_grad_(False).eval()  # type: ignore[index, operator, union-attr]


@pytest.mark.parametrize("change", [_in_place, _statistics, _loaded, _replaced])
def test_a_change_is_seen(change: object, made: list[Backbone]) -> None:
    backbone = settled("resnet18")
    backbone.freeze(2)
    before = backbone(IMAGES)["c5"]
    change(backbone)  # type: ignore[operator]
    _check(backbone)
    assert not torch.allclose(before, backbone(IMAGES)["c5"])
    assert len(made) == 2


def test_a_broadcast_of_equal_buffers_changes_nothing(made: list[Backbone]) -> None:
    backbone = settled("resnet18")
    backbone.freeze(2)
    for _ in range(3):
        backbone(IMAGES)
        for buffer in backbone.buffers():  # as DistributedDataParallel does at every step
            buffer.copy_(buffer.clone())
    assert len(made) == 1


def test_levels_in_use_and_dtype_are_followed(made: list[Backbone]) -> None:
    backbone = settled("resnet18")
    backbone.freeze(3)
    backbone.use_levels(["c2", "c4"])
    assert list(backbone(IMAGES)) == ["c2", "c4"]
    backbone.use_levels(None)
    assert list(backbone(IMAGES)) == ["c1", "c2", "c3", "c4", "c5"]
    backbone.double()
    _check(backbone, IMAGES.double())
    assert len(made) == 3


def test_under_autocast_as_the_plain_path(made: list[Backbone]) -> None:
    backbone = settled("resnet18")
    backbone.freeze(3)
    with torch.autocast("cpu", torch.bfloat16):
        levels, wanted = backbone(IMAGES), _plain(backbone)
    exact = _plain(backbone)
    for name, level in levels.items():
        assert level.dtype == wanted[name].dtype == torch.bfloat16
        error, others = ((one[name].float() - exact[name]).abs().mean() for one in (levels, wanted))
        assert error <= 1.5 * others
    _check(backbone)
    assert len(made) == 2


def test_it_belongs_to_no_copy_and_no_state_dict() -> None:
    backbone = settled("resnet18")
    names, count = list(backbone.state_dict()), len(list(backbone.modules()))
    backbone.freeze(3)
    backbone(IMAGES)
    assert list(backbone.state_dict()) == names
    assert len(list(backbone.modules())) == count
    assert len(pickle.dumps(backbone)) < 1.1 * sum(one.nbytes for one in backbone.state_dict().values())
    other = copy.deepcopy(backbone)
    _in_place(other)
    _check(other)
    _check(backbone)


def test_an_image_may_need_a_gradient(made: list[Backbone]) -> None:
    backbone, images = settled("resnet18"), IMAGES.clone().requires_grad_()
    backbone.freeze(4)
    backbone(images)["c5"].sum().backward()
    assert images.grad is not None
    assert not made


def test_hooks_see_what_they_are_there_for(made: list[Backbone]) -> None:
    backbone, seen = settled("resnet18"), []
    backbone.freeze(3)
    hook = backbone.get_submodule("layer2.0.conv1").register_forward_hook(lambda *_: seen.append(1))
    backbone(IMAGES)
    assert seen
    assert not made
    hook.remove()
    backbone(IMAGES)
    assert made


def test_made_in_inference_mode_it_serves_training() -> None:
    backbone = settled("resnet18")
    backbone.freeze(2)
    with torch.inference_mode():
        backbone(IMAGES)
    backbone.train()(IMAGES)["c5"].sum().backward()
    assert backbone.get_parameter("layer4.0.conv1.weight").grad is not None
