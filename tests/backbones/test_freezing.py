"""Frozen is frozen, whatever train() is called; unfreezing restores everything."""

import pytest
import torch
import torchvision
from timm.layers import EvoNorm2dB0
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from backbones import (
    Backbone,
    FeatureInfo,
    FeaturePyramid,
    InputError,
    changed_tensors,
    create_backbone,
    frozen_digests,
)
from backbones.freezing import parse_stages


def _pretrained(name: str = "resnet18", **options: object) -> Backbone:
    backbone = create_backbone(name, **options)
    backbone.load_state_dict(backbone.state_dict())  # as good as pretrained: no warning
    return backbone


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0, 0),
        (3, 3),
        ("0", 0),
        ("3", 3),
        ("1-3", 3),
        ("0-3", 3),
        ("1,2", 2),
        ({1, 2, 3}, 3),
        ("none", 0),
        ([], 0),
        ("1", 1),
    ],
)
def test_prefixes(given: object, expected: int) -> None:
    assert parse_stages(given, 4) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["2-3", "3-1", {2}, "1,3", 5, "1-5", -1, "all", "1-", "1--3", {0}, [0], "0-0"])
def test_what_is_no_prefix_is_refused(given: object) -> None:
    with pytest.raises(InputError, match=r"freeze"):
        parse_stages(given, 4)  # type: ignore[arg-type]


def _move(backbone: Backbone, steps: int = 3) -> None:
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    for _ in range(steps):
        backbone.train()
        sum(level.square().mean() for level in backbone(torch.randn(2, 3, 64, 64)).values()).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_frozen_stages_hold_still_and_the_others_move(stages: int) -> None:
    backbone = _pretrained()
    report = backbone.freeze(stages)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    digests = frozen_digests(backbone)
    nn.Sequential(backbone).train()  # from above
    _move(backbone)

    prefixes = ("conv1", "bn1", *(f"layer{n}" for n in range(1, stages + 1)))
    frozen = [key for key in before if key.startswith(prefixes)]
    changed = [key for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])]
    assert set(digests) == set(frozen)
    assert set(changed) == set(before) - set(frozen)
    assert not changed_tensors(backbone, digests)

    sizes = {key: value.numel() for key, value in before.items()}
    parameters = {name for name, _ in backbone.named_parameters()}
    assert report.stages == tuple(range(stages + 1))
    assert report.parameters == sum(sizes[key] for key in frozen if key in parameters)
    assert report.buffers == sum(sizes[key] for key in frozen if key not in parameters)
    assert report.share == pytest.approx(report.parameters / backbone.num_parameters())


def test_a_changed_frozen_tensor_is_found() -> None:
    backbone = _pretrained()
    backbone.freeze(1)
    digests = frozen_digests(backbone)
    backbone.get_buffer("bn1.running_mean").add_(1e-7)
    assert changed_tensors(backbone, digests) == ["bn1.running_mean"]


def test_unfreeze_restores_everything_and_keys_never_change() -> None:
    backbone = _pretrained("resnet50")
    keys = list(backbone.state_dict())
    backbone.freeze("1-3")
    assert list(backbone.state_dict()) == keys
    backbone.unfreeze()
    assert list(backbone.state_dict()) == keys
    assert all(parameter.requires_grad for parameter in backbone.parameters())
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    _move(backbone, steps=1)
    assert all(not torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_freezing_everything_leaves_no_parameter_free() -> None:
    backbone = _pretrained()
    assert backbone.freeze(4).share == 1.0
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_a_second_freeze_replaces_the_first() -> None:
    backbone = _pretrained()
    backbone.freeze(3)
    backbone.freeze(1)
    assert backbone.get_submodule("layer2").training
    assert all(parameter.requires_grad for parameter in backbone.get_submodule("layer2").parameters())


def test_freezing_without_weights_warns() -> None:
    with pytest.warns(UserWarning, match="no pretrained weights"):
        create_backbone("resnet18", frozen_stages=2)


def test_held_norms_keep_their_statistics_while_their_weights_train() -> None:
    backbone = _pretrained()
    backbone.freeze(1)
    backbone.hold_norms()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    _move(backbone)
    after = backbone.state_dict()
    assert torch.equal(after["layer4.1.bn2.running_mean"], before["layer4.1.bn2.running_mean"])
    assert not torch.equal(after["layer4.1.bn2.weight"], before["layer4.1.bn2.weight"])
    backbone.hold_norms(False)
    _move(backbone, steps=1)
    assert not torch.equal(backbone.state_dict()["layer4.1.bn2.running_mean"], before["layer4.1.bn2.running_mean"])


class _EvoNormed(Backbone):
    """timm's EvoNorm, which is no batch norm of torch's, keeps a running variance."""

    def __init__(self) -> None:
        super().__init__()
        self.features = (FeatureInfo("c1", 8, 2),)
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), EvoNorm2dB0(8))

    def stages(self) -> tuple[tuple[nn.Module, ...], ...]:
        return ((self.net,),)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"c1": self.net(images)}


def test_held_norms_are_whatever_keeps_statistics() -> None:
    backbone = _EvoNormed()
    before = backbone.state_dict()["net.1.running_var"].clone()
    backbone.hold_norms()
    _move(backbone)
    assert torch.equal(backbone.state_dict()["net.1.running_var"], before)
    backbone.hold_norms(False)
    _move(backbone)
    assert not torch.equal(backbone.state_dict()["net.1.running_var"], before)


def test_the_share_is_that_of_torchvisions_stages() -> None:
    """Stages 1-3 of ResNet-50: counted in torchvision's model."""
    reference = torchvision.models.resnet50()
    frozen = nn.ModuleList([reference.conv1, reference.bn1, reference.layer1, reference.layer2, reference.layer3])
    backbone = _pretrained("resnet50")
    assert backbone.freeze(3).parameters == sum(parameter.numel() for parameter in frozen.parameters())


def test_frozen_inside_torchvisions_detector() -> None:
    backbone = _pretrained()
    backbone.freeze(2)
    detector = FasterRCNN(FeaturePyramid(backbone).as_torchvision(), num_classes=3).train()
    digests = frozen_digests(backbone)
    target = {"boxes": torch.tensor([[5.0, 5, 40, 40]]), "labels": torch.tensor([1])}
    optimizer = torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], lr=0.01)
    sum(detector([torch.rand(3, 64, 64)], [target]).values()).backward()
    optimizer.step()
    assert not changed_tensors(backbone, digests)
    assert not backbone.get_submodule("layer2").training
    assert backbone.get_submodule("layer3").training
