"""The comparisons run, small: what they measure is for `tools/benchmark.py` alone."""

import sys

import pytest

from tasks.benchmark import index
from tasks.commands import main as vertebra


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_a_step(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = f"benchmark --task {task} --backbone resnet18 --image-size 64 --steps 1 --batch-size 2"
    assert vertebra(argv.split()) == 0
    assert "times as long" in capsys.readouterr().out


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
    assert "tasks/detection/one_stage_detector" in output
    assert vertebra(["benchmark", "--what", "synchronisations", "--head", "unets"]) == 2
    assert "head.name: 'unets' is not known" in capsys.readouterr().err


def test_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    assert vertebra(["benchmark", "--what", "loop", "--rounds", "1"]) == 0
    assert "ms a step" in capsys.readouterr().out
