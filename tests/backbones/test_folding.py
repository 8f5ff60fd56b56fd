from collections.abc import Callable

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torchvision.models import detection, resnet18

from backbones import create_backbone, fold, list_backbones
from backbones.folding import ScaleShift, is_fixed_norm
from tests.backbones.settling import settled

QUICK = ["resnet18", "resnetv2_18", "cifar_resnet20"]
OTHERS = [name for name in list_backbones() if name not in QUICK]
TIMM = [
    "efficientnet_lite0",
    "regnety_002",
    "densenet121",
    "dla34",
    "hrnet_w18_small",
    "repvgg_a0",
    "mobilenetv3_small_050",
]


@pytest.mark.parametrize(
    "name",
    [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in (*OTHERS, *(f"timm/{one}" for one in TIMM)))],
)
def test_a_folded_backbone_gives_the_same(name: str) -> None:
    torch.manual_seed(0)
    backbone, images = create_backbone(name).eval(), torch.randn(2, 3, 64, 96)
    folded = fold(backbone)
    with torch.no_grad():
        for level, wanted in backbone(images).items():
            assert (folded(images)[level] - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    assert not any(map(is_fixed_norm, folded.modules()))


def test_in_float64_it_is_exact() -> None:
    backbone, images = settled("resnet18").double(), torch.randn(2, 3, 64, 96).double()
    with torch.no_grad():
        torch.testing.assert_close(fold(backbone)(images), backbone(images), rtol=1e-12, atol=1e-12)


def test_the_module_stays_as_it_is() -> None:
    backbone = create_backbone("resnet18")
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    folded = fold(backbone)
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    assert backbone.training
    assert all(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    torch.testing.assert_close(backbone.state_dict(), before, rtol=0, atol=0)


def test_a_norm_before_a_branch_is_a_scale_and_a_shift() -> None:
    folded = fold(create_backbone("resnetv2_18"))
    scales = {name for name, module in folded.named_modules() if isinstance(module, ScaleShift)}
    assert "layer1.0.bn1" in scales
    assert "layer1.0.bn2" not in scales  # it follows conv1 and nothing else


@pytest.mark.parametrize("norm", ["group", "instance", "frozen", "sync"])
def test_of_other_norms_those_with_fixed_statistics_are_folded(norm: str) -> None:
    backbone, images = create_backbone("resnet18", norm=norm).eval(), torch.randn(2, 3, 64, 96)
    folded = fold(backbone)
    kept = [module for module in folded.modules() if isinstance(module, nn.GroupNorm | nn.InstanceNorm2d)]
    assert bool(kept) == (norm in ("group", "instance"))
    with torch.no_grad():
        torch.testing.assert_close(folded(images), backbone(images), rtol=1e-4, atol=1e-5)


class _Twice(nn.Module):
    """A convolution that two norms follow, as in heads that levels share."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.first, self.second = _norm(4), _norm(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(self.conv(x)) + self.second(self.conv(x))


class _Tapped(nn.Module):
    """A convolution whose output is used beside its norm's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), _norm(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


class _Untraceable(nn.Module):
    """What torch.fx cannot follow around what it can."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Sequential(nn.Conv2d(3, 4, 3), _norm(4), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x) if float(x.sum()) > 0 else self.inside(-x)


class _Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight / self.weight.norm()
        return nn.functional.conv2d(x, weight, self.bias)


class _OwnNorm(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) ** 2


def _norm(channels: int, kind: Callable[[int], nn.BatchNorm2d] = nn.BatchNorm2d) -> nn.BatchNorm2d:
    norm = kind(channels)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2.0)
    return norm


@pytest.mark.parametrize(
    "make",
    [
        _Twice,
        _Tapped,
        _Untraceable,
        lambda: nn.Sequential(_Standardised(3, 4, 3), _norm(4)),
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), _norm(4)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), _norm(4, _OwnNorm)),  # it stays as it is
        lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2), _norm(4)),
        lambda: nn.Sequential(nn.ConvTranspose2d(3, 6, 3, groups=3), _norm(6)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        lambda: _norm(3),
        nn.ReLU,
    ],
)
def test_what_is_no_plain_pair_gives_the_same(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    module, x = make().eval(), torch.randn(2, 3, 8, 8)
    folded = fold(module)
    assert not any(map(is_fixed_norm, folded.modules()))
    with torch.no_grad():
        torch.testing.assert_close(folded(x), module(x), rtol=1e-5, atol=1e-5)


def test_halves_are_merged_in_float32() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(8, 8, 3, bias=False), _norm(8)).eval()
    halves = fold(module.bfloat16())
    wanted = fold(module.float())
    assert halves[0].weight.dtype == torch.bfloat16  # type: ignore[index]
    torch.testing.assert_close(halves[0].weight, wanted[0].weight.bfloat16(), rtol=0, atol=0)  # type: ignore[index]


def test_models_of_others_fold_too() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 64)
    for module in (resnet18().eval(), smp.Unet("resnet18", encoder_weights=None).eval()):
        folded = fold(module)
        assert not any(map(is_fixed_norm, folded.modules()))
        with torch.no_grad():
            torch.testing.assert_close(folded(images), module(images), rtol=1e-4, atol=1e-5)


def test_a_whole_detector_folds() -> None:
    torch.manual_seed(0)
    detector = detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3, min_size=64).eval()
    folded = fold(detector)
    assert not any(map(is_fixed_norm, folded.modules()))
    images = [torch.rand(3, 64, 64)]
    with torch.no_grad():
        (found,), (wanted,) = folded(images), detector(images)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
