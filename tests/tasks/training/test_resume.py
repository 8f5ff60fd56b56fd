"""A run that dies anywhere and is resumed is, bit for bit, the run that did not."""

import json
import os
import subprocess
import sys
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tasks.commands.train import main
from tests.tasks.training.dying import PLACES

ROOT = Path(__file__).resolve().parents[3]
TASKS = ("detection", "segmentation")
OF_TASK = {
    "detection": "--head.channels 32 --head.representation 32 --head.rois-per-image 16",
    "segmentation": "--head.decoder-channels 16 16 16 16 16",
}
SMALL = "--backbone resnet18 --data.count 20 --batch-size 4 --epochs 2 --image-size 64 --save-every 2"
# In the second epoch, or where the place has another number: the second validation, the third writing over.
NUMBERS = {"epoch": 8, "validation": 2, "saving": 3, "term": 8, "term-group": 8}

Case = tuple[str, str, int, int, str, str]  # task, place, workers, parts of a step, moving average, precision


def _pairwise() -> list[Case]:
    """Every pair of two values is in two of these, found greedily."""
    choices = (TASKS, PLACES, (0, 2), (1, 2), ("", "--ema 0.9"), ("fp32", "bf16"))
    left = set(product(*choices))
    chosen: list[Case] = []
    for _ in range(2):
        pairs = {pair for case in product(*choices) for pair in _pairs_of(case)}
        while pairs:
            best = max(sorted(left), key=lambda case: len(pairs & _pairs_of(case)))
            left.remove(best)
            chosen.append(best)  # type: ignore[arg-type]
            pairs -= _pairs_of(best)
    return chosen


def _pairs_of(case: tuple) -> set[tuple]:  # type: ignore[type-arg]
    return {(i, j, case[i], case[j]) for i in range(len(case)) for j in range(i)}


PAIRWISE = _pairwise()
FAST = (2, 4)


def _flags(case: Case) -> list[str]:
    task, _, workers, parts, average, precision = case
    flags = f"--task {task} {OF_TASK[task]} {SMALL} --data.workers {workers} --accumulate {parts} {average}"
    return f"{flags} --precision {precision}".split()


@cache
def _whole(folder: Path, case: Case) -> Path:
    run = folder / "-".join(map(str, case)).replace(" ", "")
    assert main([*_flags(case), "--output", str(run)]) == 0
    return run


def assert_same_runs(one: Path, other: Path) -> None:
    assert (one / "metrics.jsonl").read_text() == (other / "metrics.jsonl").read_text()
    for name in ("last", "best"):
        mine, its = (load_file(run / name / "model.safetensors") for run in (one, other))
        assert mine.keys() == its.keys()
        assert all(torch.equal(value, its[key]) for key, value in mine.items())
    first, second = (json.loads((run / "run.json").read_text()) for run in (one, other))
    assert (first["metrics"], first["best"]) == (second["metrics"], second["best"])
    assert not [path for run in (one, other) for path in run.rglob("*.new")]


def _dies(place: str, flags: list[str], run: Path, *launcher: str) -> int:
    command = [*(launcher or (sys.executable,)), "-m", "tests.tasks.training.dying", place, str(NUMBERS[place])]
    process = subprocess.run(
        [*command, *flags, "--output", str(run)], cwd=ROOT, capture_output=True, text=True, start_new_session=True
    )
    if place.startswith("term") and not launcher:
        assert (process.returncode, process.stderr) == (143, "interrupted by SIGTERM\n")
    return process.returncode


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id="-".join(map(str, case)), marks=() if number in FAST else pytest.mark.slow)
        for number, case in enumerate(PAIRWISE)
    ],
)
def test_it_dies_and_goes_on(case: Case, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = tmp_path / "run"
    assert _dies(case[1], _flags(case), run) != 0
    assert main(["--resume", "--output", str(run)]) == 0
    assert_same_runs(run, _whole(tmp_path_factory.getbasetemp(), case))


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
@pytest.mark.parametrize("place", PLACES)
def test_one_of_two_processes_dies_and_both_go_on(
    place: str, rank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "saving" and rank == "1":
        return  # which saves nothing
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    flags = _flags(("detection", place, 0, 1, "", "fp32"))
    for name in ("whole", "run"):
        if name == "run":
            monkeypatch.setenv("DYING_RANK", rank)
            assert _dies(place, flags, tmp_path / name, *launcher) != 0
        resumed = ["--resume"] if name == "run" else flags
        command = [*launcher, "tools/train.py", *resumed, "--output", str(tmp_path / name)]
        assert subprocess.run(command, cwd=ROOT, env=os.environ).returncode == 0
    assert_same_runs(tmp_path / "run", tmp_path / "whole")


def test_every_pair_is_covered() -> None:
    assert len(PAIRWISE) == 20
    assert {case[0] for case in map(PAIRWISE.__getitem__, FAST)} == set(TASKS)
