"""One order: backbone, head, weights, then freeze and hold norms, once."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from backbones import Backbone, InputError
from tasks.assembly import task_from_settings
from tasks.commands.train import main
from tests.heads import run_settings

SMALL = {"channels": 16, "representation": 16}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to the backbone, in the order in which it happens."""
    seen: list[str] = []

    def spy(kind: type, name: str) -> None:
        original = getattr(kind, name)

        def call(self: Any, *arguments: Any, **options: Any) -> Any:
            argument = f" {arguments[0]}" if name in ("freeze", "hold_norms") else ""
            seen.append(f"{name}{argument}")
            return original(self, *arguments, **options)

        monkeypatch.setattr(kind, name, call)

    for name in ("freeze", "hold_norms", "load_checkpoint"):
        spy(Backbone, name)
    return seen


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "resnet18.pth"
    torch.save(resnet18().state_dict(), file)
    return file


def test_freezing_comes_last_and_once(calls: list[str], weights: Path) -> None:
    backbone = {"name": "resnet18", "weights": str(weights), "freeze": "1-3"}
    task, _ = task_from_settings(run_settings(backbone=backbone, head=SMALL), ["a"])
    assert [call for call in calls if call != "freeze 0"] == ["load_checkpoint", "freeze 1-3", "hold_norms True"]
    assert task.backbone.frozen_stages == 3
    task.model.train()
    norms = [module for module in task.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)


def test_the_syntax_is_checked_before_the_data_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for freeze, message in (
        ("2-3", "backbone.freeze '2-3' is not a prefix: stages freeze from the stem on; write 3 or '1-3'"),
        ("most", "backbone.freeze 'most' is not understood: write a number or a range, 3 or 1-3"),
        ("3-1", "backbone.freeze '3-1' is not understood"),
    ):
        assert main(["--data", str(tmp_path / "absent"), "--freeze", freeze]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_the_range_is_checked_by_the_backbone() -> None:
    settings = run_settings(backbone={"name": "resnet18", "freeze": "1-7"}, head=SMALL)
    with pytest.raises(InputError, match="freeze '1-7': this backbone has the stages 1-4"):
        task_from_settings(settings, ["a"])
