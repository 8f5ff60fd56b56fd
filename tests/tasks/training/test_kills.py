"""Killed 200 times at any moment: never an unreadable checkpoint, never a lost best, and in the end the same run."""

import multiprocessing
import os
import random
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tasks.commands.train import main
from tasks.training.checkpoint import checkpoint_folder, read_description, read_state, recover
from tests.tasks.training.test_resume import assert_same_runs

KILLS = 200
SMALL = "--task segmentation --backbone resnet18 --data.count 20 --data.workers 0 --epochs 40 --batch-size 4"
SMALL += " --image-size 64 --head.decoder-channels 16 16 16 16 16 --save-every 2 --ema 0.9"


def _go_on(run: Path) -> None:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        sys.exit(main([*SMALL.split(), "--resume", "--output", str(run)]))


def _killed(run: Path, after: float) -> bool:
    """Whether a process that goes on with the run was killed before it was done with it."""
    # Forked from a process that has only imported: a fork of this one would have what other tests left in it.
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["tasks.commands.train", __name__])
    child = server.Process(target=_go_on, args=(run,))
    child.start()
    child.join(after)
    child.kill()
    child.join()
    return child.exitcode == -signal.SIGKILL


def _check(run: Path, best: float) -> float:
    """Everything can be read; the best metric so far."""
    if (run / "last").exists() or (run / "last.old").exists():
        recover(run / "last")
        read_state(run / "last")
        load_file(run / "last/model.safetensors")
    if not ((run / "best").exists() or (run / "best.old").exists()):
        assert best < 0
        return best
    folder = checkpoint_folder(run)
    load_file(folder / "model.safetensors")
    found = read_description(folder)["metrics"]["mIoU"]
    assert found >= best
    return float(found)


@pytest.mark.slow
def test_two_hundred_kills(tmp_path: Path) -> None:
    assert main([*SMALL.split(), "--output", str(tmp_path / "whole")]) == 0
    generator, kills, number, best = random.Random(0), 0, 0, -1.0
    done: list[Path] = []
    while kills < KILLS or not done:
        run = tmp_path / f"run-{number}"
        patience = generator.uniform(0.05, 4.0) if kills < KILLS else 600
        if _killed(run, patience):
            kills += 1
            best = _check(run, best)
        else:
            done.append(run)
            number, best = number + 1, -1.0
    for run in done:
        assert_same_runs(run, tmp_path / "whole")
    print(f"{kills} kills, {len(done)} runs that came to their end")
