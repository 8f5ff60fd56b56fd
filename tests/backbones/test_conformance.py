"""The public suite passes for what keeps the contract, and names what does not."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backbones import Backbone, FeatureInfo, InputError, create_backbone, list_backbones, register_backbone, registry
from backbones.conformance import ConformanceError, check_backbone

FAST = ["resnet18", "resnetv2_18", "cifar_plain20"]
SLOW = [name for name in list_backbones() if name not in FAST]
SLOW += ["timm/convnext_atto", "timm/mobilenetv3_small_050", "timm/swin_tiny_patch4_window7_224", "timm/regnety_002"]
SLOW += ["timm/vit_tiny_patch16_224", "timm/vgg11"]  # parameters beside the modules; a stage without any


@pytest.mark.parametrize("name", FAST + [pytest.param(name, marks=pytest.mark.slow) for name in SLOW])
def test_every_registered_backbone_keeps_the_contract(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    checks = check_backbone(name)
    assert len(checks) == 14
    assert all(check.passed for check in checks)
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}: the contract of a backbone")
    assert printed.count("ok") >= 14


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"deformable_stages": (2, 3, 4)}, {"output_stride": 8}, {"drop_path": 0.2}])
def test_options_keep_it_too(options: dict[str, object]) -> None:
    check_backbone("resnet50", **options)


@pytest.mark.slow
def test_a_fixed_size_is_tried_alone() -> None:
    levels = check_backbone("timm/gcvit_xxtiny", size=(224, 224))[0]
    assert levels.detail.endswith("224x224 px")


class _Drifting(Backbone):
    """A plugin with the defects that users of other libraries know."""

    def __init__(self, in_channels: int = 3, norm: str = "batch") -> None:
        super().__init__()
        if norm != "batch":
            raise InputError(f"norm {norm!r}: only batch")
        self.body = create_backbone("resnet18", in_channels=in_channels)
        self.stray = torch.nn.Parameter(torch.ones(()))
        self.features = (FeatureInfo("c2", 64, 4), FeatureInfo("c5", 512, 16))

    def stages(self) -> tuple[tuple[torch.nn.Module, ...], ...]:
        return self.body.stages()

    def train(self, mode: bool = True) -> Backbone:
        torch.nn.Module.train(self, mode)  # forgets what is frozen: its running statistics drift
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        levels = self.body(images)
        return {"c2": levels["c2"] * self.stray, "c5": levels["c5"]}


def test_broken_promises_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_builders", dict(registry._builders))
    register_backbone("drifting", _Drifting)
    with pytest.raises(ConformanceError) as raised:
        check_backbone("drifting")
    message = str(raised.value)
    assert message.startswith("drifting breaks 5 of 14 promises")
    assert "c5 is (1, 512, 2, 3) and not (1, 512, 4, 6) at (64, 96)" in message
    assert "stray is in none" in message
    assert "freezing every stage leaves stray free" in message
    assert "bn1.running_mean has changed in training" in message
    assert "mean and std at 1 channels" in message


class _Defective(Backbone):
    """Breaks one promise at a time."""

    defect = ""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        if self.defect == "swallowed":
            options.pop("norm", None)
        self.body = create_backbone("resnet18", **options)
        self.features, self.mean, self.std = self.body.features, self.body.mean, self.body.std
        if self.defect == "stray":
            self.counter = nn.BatchNorm2d(3, affine=False)

    def stages(self) -> tuple[tuple[nn.Module, ...], ...]:
        return self.body.stages()[:: -1 if self.defect == "reversed" else 1]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        levels = self.body(images)
        if self.defect == "nan":
            levels["c5"] = levels["c5"] * float("nan")
        return levels


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        ("nan", "c5 is not finite"),
        ("swallowed", "norm frozen changes nothing"),
        ("reversed", r"freeze\(1\): c1 still needs what is free"),
        ("stray", "counter is in none"),
    ],
)
def test_each_defect_is_found(monkeypatch: pytest.MonkeyPatch, defect: str, message: str) -> None:
    monkeypatch.setattr(registry, "_builders", dict(registry._builders))
    monkeypatch.setattr(_Defective, "defect", defect)
    register_backbone("defective", _Defective)
    with pytest.raises(ConformanceError, match=message):
        check_backbone("defective")


def test_a_builder_need_not_take_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_builders", dict(registry._builders))
    register_backbone("rigid", lambda: create_backbone("resnet18"))
    checks = {check.name: check.detail for check in check_backbone("rigid")}
    assert "1 refused" in checks["images of 1, 3 and 4 channels"]
    assert "group refused" in checks["other norms"]
