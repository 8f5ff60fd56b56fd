"""The comparisons run, small: what they measure is for `tools/benchmark.py` alone."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.benchmark import index, list_lines
from tasks.benchmark.comparisons import running
from tasks.benchmark.comparisons.timing import time_line
from tasks.commands import main as vertebra

TINY = ["--backbone", "resnet18", "--image-size", "64", "--batch-size", "2", "--rounds", "2"]


def _peers(*names: str, more: tuple[object, ...] = ()) -> int:
    return vertebra(["benchmark", "--only", *names, *TINY, *map(str, more)])


@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ours_and_a_peer_in_turn(
    apart: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not apart:  # two more processes that load torch
        monkeypatch.setattr(running, "time_line", lambda *given, apart, **options: time_line(*given, **options))
    file, plot = tmp_path / "new" / "ratios.json", tmp_path / "ratios.png"
    assert _peers("unet-free", more=("--json", file, "--plot", plot, "--seed", 3)) == 0
    output = capsys.readouterr().out
    assert "of the time of SMP's Unet in a plain fp32 loop" in output
    content = json.loads(file.read_text())
    assert content["machine"].keys() >= {"cpu", "cores", "threads", "packages", "device"}
    assert (content["seed"], content["rounds"], content["steps"]) == (3, 2, 1)
    (line,) = content["lines"]
    assert (line["name"], line["backbone"], line["height"], line["batch"]) == ("unet-free", "resnet18", 64, 2)
    assert {check["what"].split()[0] for check in line["checks"]} == {"logits", "loss", "gradients"}
    assert line["right"]
    ours, peer = line["seconds"]["ours"], line["seconds"]["peer"]
    assert len(ours) == len(peer) == 2
    assert line["ratios"] == pytest.approx([mine / other for mine, other in zip(ours, peer, strict=True)])
    assert line["ratio"] == pytest.approx(sum(line["ratios"]) / 2)
    assert line["goal"] is line["met"] is None  # the goal is for other sizes
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert vertebra(["benchmark", *TINY]) == 0
    output = capsys.readouterr().out
    for name in list_lines():
        assert f"{name}: " in output
    assert "finetuning: left out: it needs --data FOLDER" in output


@pytest.mark.slow
def test_finetuning(voc: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ratios.json"
    assert _peers("finetuning", more=("--data", voc(), "--json", file)) == 0
    (line,) = json.loads(file.read_text())["lines"]
    assert [len(line["seconds"][side]) for side in ("ours", "peer")] == [1, 1]
    assert all(metrics.keys() == {"val"} for side in ("ours", "peer") for metrics in line["notes"][f"AP of {side}"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--only", "unet-fre"], "only: 'unet-fre' is not known; did you mean 'unet-free'"),
        (["--seeds", "3"], "seeds: is of --data, which is not given"),
        (["--data", "/nowhere"], "data: /nowhere: no Pascal VOC folder with a train split"),
        (["--plot", "/dev/null/ratios.png"], "cannot be written"),
        (["--what", "growth", "--head", "unet"], "'unet' is not for detection"),
        (["--what", "growth", "--seeds", "3"], "seeds: is for --what peers"),
        (["--images", "30"], "images: is for --what index, evaluation"),
    ],
)
def test_wrong_input(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert vertebra(["benchmark", *argv]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_growth(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.benchmark.growth._BATCHES", (1, 2))
    argv = "benchmark --what growth --head fcos --image-size 64 --rounds 1"
    assert vertebra(argv.split()) == 0
    output = capsys.readouterr().out
    assert "fcos: objects an image" in output
    assert "fcos: images a step" in output


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_level(capsys: pytest.CaptureFixture[str]) -> None:
    assert vertebra(["benchmark", "--what", "level", "--head", "fcos", "--image-size", "64", "--steps", "4"]) == 0
    assert "+0.0 MiB of tensors" in capsys.readouterr().out


def test_the_evaluators_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert vertebra(["benchmark", "--what", "evaluation", "--images", "40", "--rounds", "1"]) == 0
    output = capsys.readouterr().out
    assert "40 images, 292 objects" in output
    assert "largest difference of " in output


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of processes is read from /proc")
def test_the_index(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_measured", index._report)  # in this process, which has imported everything
    assert vertebra(["benchmark", "--what", "index", "--images", "40", "--rounds", "1", "--workers", "1"]) == 0
    assert "times as long to the first batch" in capsys.readouterr().out


def test_the_synchronisations(capsys: pytest.CaptureFixture[str]) -> None:
    assert vertebra(["benchmark", "--what", "synchronisations", "--head", "fcos", "--lines", "9"]) == 0
    output = capsys.readouterr().out
    assert "1 / 1" in output
    assert "torchvision's" in output
    assert "tasks/detection/one_stage_detector" in output
    assert vertebra(["benchmark", "--what", "synchronisations", "--head", "unets"]) == 2
    assert "head.name: 'unets' is not known" in capsys.readouterr().err


def test_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    assert vertebra(["benchmark", "--what", "loop", "--rounds", "1"]) == 0
    assert "ms a step" in capsys.readouterr().out
