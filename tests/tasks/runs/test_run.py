"""`tasks.train` is the command from Python: the same names, the same run."""

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

import tasks
from tasks import train
from tasks.commands.train import main
from tasks.config import SettingsError
from tasks.heads import find_head
from tasks.training.progress import progress_bar

SMALL = {"data.count": 8, "data.workers": 0, "head.channels": 16, "head.representation": 16}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train(backbone="resnet18", epochs=1, batch_size=4, output=tmp_path_factory.mktemp("runs") / "a", **SMALL)


def test_it_is_the_run_of_the_command(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [f"--{name}={value}" for name, value in SMALL.items()]
    argv = ["--backbone", "resnet18", "--epochs", "1", "--batch-size", "4", *flags, "--output", str(tmp_path / "b")]
    assert main(argv) == 0
    capsys.readouterr()
    one, two = (load_file(folder / "best/model.safetensors") for folder in (run.folder, tmp_path / "b"))
    assert all(one[key].equal(two[key]) for key in two)
    assert (run.folder / "config.yaml").read_text() == (tmp_path / "b/config.yaml").read_text()
    assert main(["--config", str(run.folder / "config.yaml"), "--output", str(tmp_path / "c")]) == 0
    assert (tmp_path / "c/metrics.jsonl").read_text() == (run.folder / "metrics.jsonl").read_text()


def test_what_it_gives(run: Any) -> None:
    assert set(run.metrics) >= {"AP", "AP50", "AP/circle"}
    assert run.test == {}
    predictor = run.predictor()
    assert predictor.classes == ("circle", "square", "triangle")
    assert len(predictor([np.zeros((50, 70, 3), np.uint8)])) == 1
    again = train(output=str(run.folder), resume=True)  # complete: its figures, and nothing done
    assert (again.folder, again.metrics) == (run.folder, run.metrics)
    assert tasks.train is train


def test_settings_in_groups_are_those_by_their_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("tasks.runs.run.train_run", lambda settings, console: seen.append(settings))
    train(task="segmentation", head={"name": "fpn", "loss": "dice"}, optim="sgd", lr=0.2, schedule={"epochs": 3})
    paths = {"head.name": "fpn", "head.loss": "dice", "optim.name": "sgd", "optim.lr": 0.2, "schedule.epochs": 3}
    train(task="segmentation", **paths)
    train(task="segmentation", head="fpn", **{"head.loss": "dice"}, optim={"name": "sgd", "lr": 0.2}, epochs=3)
    assert seen[0] == seen[1] == seen[2]
    assert type(seen[0].optim).kind() == "sgd"
    train(data=tmp_path, freeze="1-3", weights=tmp_path / "w.pth")
    assert (seen[3].data.path, seen[3].backbone.weights) == (str(tmp_path), str(tmp_path / "w.pth"))
    train(config="detection/finetune", data=tmp_path, freeze=2)
    assert (seen[4].backbone.freeze, seen[4].precision) == ("2", "bf16")


def test_values_as_python_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("tasks.runs.run.train_run", lambda settings, console: seen.append(settings))
    (tmp_path / "c.yaml").write_text("backbone: {weights: imagenet}\nresume: true\noutput: nowhere\n")
    train(config=tmp_path / "c.yaml", weights=None, resume=False)
    assert (seen[0].backbone.weights, seen[0].resume) == (None, False)
    train(data={"path": tmp_path, "also": [tmp_path / "b"]}, device=torch.device("cpu"), head=None)
    assert (seen[1].data.path, seen[1].data.also, seen[1].device) == (str(tmp_path), (str(tmp_path / "b"),), "cpu")
    train(head=find_head("fcos", "detection")(channels=64), image_size=96)
    assert (seen[2].head.kind(), seen[2].head.channels) == ("fcos", 64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bacbone": "resnet18"}, "bacbone: there is no such setting; did you mean backbone.name?"),
        ({"config": 3}, "config: 3: wanted is a recipe's name"),
        ({"imagesize": 64}, "imagesize: there is no such setting; did you mean data.image_size?"),
        ({"head": "unett"}, "head.name: 'unett' is not known; did you mean 'unet'"),
        ({"lr": "fast"}, "optim.lr: 'fast'"),
        ({"lr": 0.1, "optim": {"lr": 0.2}}, "train: the setting optim.lr stands twice"),
        ({"evaluator": "hotcoco", "task": "segmentation"}, "evaluator: there is no such setting"),
        ({"data": "shapes", "data.classes": ["a"]}, "data.classes: there is no such setting"),
    ],
)
def test_wrong_settings_are_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        train(**settings)
    assert str(caught.value).startswith(message)


def test_progress_in_a_notebook_is_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    handle = types.SimpleNamespace(update=lambda data, raw: shown.append(data["text/plain"]))
    module = types.ModuleType("IPython.display")
    module.display = lambda data, raw, display_id: shown.append(data["text/plain"]) or handle  # type: ignore[attr-defined, func-returns-value]
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    clock = iter(range(100))
    monkeypatch.setattr("tasks.training.progress.time.monotonic", lambda: float(next(clock)))
    with progress_bar(Console(force_jupyter=True), "epoch 1/1", 4, 1) as bar:
        for loss in (3, 2, 1):
            bar(f"loss {loss}")
    assert shown == [
        "epoch 1/1",
        "epoch 1/1  2/4  loss 3  0:00:02 left",
        "epoch 1/1  3/4  loss 2  0:00:01 left",
        "epoch 1/1  4/4  loss 1  0:00:00 left",
        "",
    ]
