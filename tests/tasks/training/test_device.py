"""Where a training computes: by name, and one line for what is not there."""

from pathlib import Path

import pytest
import torch
from accelerate.state import PartialState

from backbones import InputError
from tasks import load_predictor
from tasks.commands import main
from tasks.training import find_device, make_accelerator


def test_auto_takes_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_device("cpu") == torch.device("cpu")
    for has_gpu, expected in ((True, "cuda:3"), (False, "cpu")):
        monkeypatch.setattr("torch.cuda.is_available", lambda has_gpu=has_gpu: has_gpu)
        monkeypatch.setattr("torch.cuda.current_device", lambda: 3)
        assert find_device() == find_device("auto") == torch.device(expected)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert find_device() == torch.device("mps")


@pytest.mark.parametrize("name", ["cuda:99", "meta", "gpu", "xpu"])
def test_what_is_not_there_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    message = f"device: {name!r}: is not on this machine (it has cpu, cuda:0, cuda:1)"
    with pytest.raises(InputError) as caught:
        find_device(name)
    assert str(caught.value) == message
    with pytest.raises(InputError, match="is not on this machine"):
        load_predictor(tmp_path, device=name)
    assert main(["train", "--device", name, "--output", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == f"{message}\n"
    assert not (tmp_path / "run").exists()


def test_an_accelerator_is_made_anew_for_another_device() -> None:
    assert make_accelerator("cpu").device == torch.device("cpu")
    PartialState().device = torch.device("cuda", 1)  # as if another run had been there
    assert make_accelerator("cpu").device == torch.device("cpu")


def test_several_processes_take_no_single_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="device: 'cuda:1': is one for 2 processes; take 'cuda'"):
        make_accelerator("cuda:1")
