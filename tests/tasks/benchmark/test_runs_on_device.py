"""Whole commands on a device that is not the CPU: train, resume, evaluate, predict; the figures are the CPU's."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tasks.benchmark.pretend_account import counted
from tasks.benchmark.pretend_device import pretend_device
from tasks.commands import main
from tasks.training import Trainer, TrainingError

SMALL = "--backbone resnet18 --data.count 8 --data.workers 0 --epochs 2 --batch-size 4 --image-size 64 --optim sgd"
# A head of each task whose results on the device are the CPU's bit for bit.
TASKS = {"detection": "--head retinanet --head.channels 32", "segmentation": "--head unet --head.deep-supervision"}


@pytest.fixture(autouse=True, scope="module")
def device() -> torch.device:
    return pretend_device()


def _train(task: str, output: Path, *more: str) -> int:
    return main(["train", "--task", task, *TASKS[task].split(), *SMALL.split(), "--output", str(output), *more])


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", ["detection", pytest.param("segmentation", marks=pytest.mark.slow)])
def test_a_run_on_a_device(task: str, precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train(task, tmp_path / "cpu", "--device", "cpu", "--precision", precision) == 0
    with counted() as account:
        assert _train(task, tmp_path / "there", "--device", "pretend", "--precision", precision) == 0
    assert account.copies > 8  # an image each, and the weights
    there, here = (json.loads((tmp_path / run / "run.json").read_text()) for run in ("there", "cpu"))
    assert there["environment"]["device"].startswith("pretend")
    steps = [
        [
            json.loads(line)["loss"]
            for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()
            if "loss" in line
        ]
        for run in ("there", "cpu")
    ]
    assert len(steps[0]) == 4
    assert steps[0] == pytest.approx(steps[1], rel=1e-6 if precision == "fp32" else 0.02)
    if precision == "fp32":
        assert there["metrics"] == pytest.approx(here["metrics"], abs=1e-6)

    capsys.readouterr()
    evaluate = ["evaluate", str(tmp_path / "there"), "--workers", "0", "--device"]
    tables = []
    for device in ("pretend", "cpu"):
        assert main([*evaluate, device]) == 0
        tables.append(capsys.readouterr().out)
    if precision == "fp32":
        assert tables[0] == tables[1]
    Image.new("RGB", (80, 60), (200, 30, 30)).save(tmp_path / "a.png")
    predict = ["predict", str(tmp_path / "there"), str(tmp_path / "a.png"), "--device", "pretend"]
    assert main([*predict, "--output", str(tmp_path / "found")]) == 0
    assert (tmp_path / "found/a.jpg").is_file()


@pytest.mark.filterwarnings("ignore:freezing a backbone that has no pretrained weights")
@pytest.mark.slow
@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_a_run_on_a_device_resumes(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = [
        "--device",
        "pretend",
        "--save-every",
        "1",
        "--freeze",
        "1",
        "--backbone.hold-norms",
        "True",
        "--verify-freeze",
    ]
    assert _train(task, tmp_path / "whole", *flags) == 0

    def stop(self: Trainer, _loader: Any, _epoch: int, _stop: list[int]) -> None:
        raise TrainingError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_validate", stop)
        assert _train(task, tmp_path / "stopped", *flags) == 1
    assert main(["train", "--resume", "--output", str(tmp_path / "stopped")]) == 0
    one, two = ((tmp_path / run / "metrics.jsonl").read_text() for run in ("whole", "stopped"))
    assert one == two
