"""Checkpoints: what fits is taken, what does not is named, and no code is unpickled."""

import pickle
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from backbones import InputError, create_backbone

State = dict[str, torch.Tensor]


def _state() -> dict[str, torch.Tensor]:
    return dict(torchvision.models.resnet18().state_dict())


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_both_formats_load(tmp_path: Path, suffix: str) -> None:
    path, state = tmp_path / f"weights.{suffix}", _state()
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    backbone = create_backbone("resnet18", weights=path)
    report = backbone.load_report
    assert report is not None
    assert backbone.pretrained
    assert (report.missing, report.unexpected, set(report.left_out)) == ((), (), {"fc.weight", "fc.bias"})
    assert all(torch.equal(value, state[key]) for key, value in backbone.state_dict().items())


def _under(prefix: str, **beside: Any) -> Callable[[State], Any]:
    return lambda state: {f"{prefix}{key}": value for key, value in state.items()} | beside


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state},
        lambda state: {"model": _under("module.")(state)},
        lambda state: {"ema": state, "epoch": 3},
        lambda state: {"model_state": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
        lambda state: {"model": {"state_dict": state}, "ema": {}},
        lambda state: {"state_dict": state, "args": Namespace(lr=0.1, layers=[1, 2], name="a")},
        lambda state: {"state_dict": state, "best": np.float64(0.7), "seen": np.arange(3), "on": np.bool_(True)},
        lambda state: state | {"epoch": 3},
        _under("model."),
        _under("backbone."),
        _under("encoder."),
        _under("_orig_mod."),
        _under("_orig_mod.module.model."),
        _under("module.encoder.backbone."),
        lambda state: {"state_dict": _under("model.encoder.")(state) | {"model.decoder.weight": torch.zeros(3)}},
    ],
)
def test_wrapped_state_dicts_load(tmp_path: Path, wrap: object) -> None:
    state = _state()
    torch.save(wrap(state), tmp_path / "w.pth")  # type: ignore[operator]
    backbone = create_backbone("resnet18", weights=tmp_path / "w.pth")
    assert backbone.load_report is not None
    assert not backbone.load_report.missing
    assert all(value.equal(state[key]) for key, value in backbone.state_dict().items())


def test_old_checkpoints_without_batch_counters_load(tmp_path: Path) -> None:
    state = {key: value for key, value in _state().items() if "num_batches" not in key}
    torch.save(state, tmp_path / "w.pth")
    report = create_backbone("resnet18", weights=tmp_path / "w.pth").load_report
    assert report is not None
    assert not report.missing


class _Config:
    """What a training script keeps beside its tensors."""


def test_what_is_no_plain_data_is_named_in_one_line(tmp_path: Path) -> None:
    torch.save({"state_dict": _state(), "config": _Config()}, tmp_path / "w.pth")
    with pytest.raises(InputError) as caught:
        create_backbone("resnet18", weights=tmp_path / "w.pth")
    assert str(caught.value) == (
        f"{tmp_path / 'w.pth'}: not a readable checkpoint of plain tensors (.safetensors or .pth): it holds a "
        f"{__name__}._Config, which is no plain data; save model.state_dict() alone"
    )


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("unpickled"),)  # type: ignore[return-value]


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.pth").write_bytes(pickle.dumps({"conv1.weight": _Trap()}, protocol=2))
    with pytest.raises(InputError, match=r"w\.pth: not a readable checkpoint"):
        create_backbone("resnet18", weights="w.pth")
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_broken_files_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=name):
        create_backbone("resnet18", weights=tmp_path / name)
    with pytest.raises(InputError, match="no such weights file"):
        create_backbone("resnet18", weights=tmp_path / "absent.pth")


def test_another_architecture_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet34().state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"does not fit this model: 149 of 265 tensors match.*; it fits 'resnet34'$"):
        create_backbone("resnet50", weights=tmp_path / "w.pth")
    backbone = create_backbone("resnet18")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    state = _state() | {"conv1.weight": torch.zeros(64, 2, 7, 7)}
    with pytest.raises(InputError, match=r"conv1\.weight is \(64, 2, 7, 7\) there and \(64, 3, 7, 7\) here"):
        backbone.load_checkpoint(state)
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_a_longer_network_is_not_taken_for_a_shorter_one(tmp_path: Path) -> None:
    """Every tensor of a ResNet-50 has its match, name and shape, in a ResNet-101."""
    torch.save(torchvision.models.resnet101().state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"it has layer3\.6\.conv1\.weight, which is not here; it fits 'resnet101'$"):
        create_backbone("resnet50", weights=tmp_path / "w.pth")


def test_what_was_trained_beside_the_network_is_only_reported(tmp_path: Path) -> None:
    torch.save(_state() | {"projector.0.weight": torch.zeros(3)}, tmp_path / "w.pth")
    report = create_backbone("resnet18", weights=tmp_path / "w.pth").load_report
    assert report is not None
    assert report.unexpected == ("projector.0.weight",)


def test_a_lower_share_may_be_allowed() -> None:
    backbone = create_backbone("resnet18")
    partial = {key: value for key, value in _state().items() if not key.startswith(("layer4", "fc"))}
    report = backbone.load_checkpoint(partial | {"extra": torch.zeros(1)}, min_matched=0.5)
    assert all(key.startswith("layer4") for key in report.missing)
    assert len(report.missing) == 25
    assert report.unexpected == ("extra",)


def test_weights_for_grey_images_give_coloured_ones_what_they_gave_grey_ones() -> None:
    grey = create_backbone("resnet18", in_channels=1).eval()
    coloured = create_backbone("resnet18").eval()
    report = coloured.load_checkpoint(grey.state_dict())
    assert report.adapted == ("conv1.weight",)
    image = torch.randn(2, 1, 64, 64)
    torch.testing.assert_close(coloured(image.expand(-1, 3, -1, -1))["c5"], grey(image)["c5"], atol=1e-4, rtol=1e-4)
