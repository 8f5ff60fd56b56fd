"""A checkpoint is whole or not there, whenever the writing is cut off."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from backbones import InputError
from tasks.data import Fingerprint
from tasks.training import checkpoint
from tasks.training.checkpoint import (
    TrainingState,
    load_weights_into,
    read_description,
    read_state,
    recover,
    save_checkpoint,
)
from tasks.training.run import Run


def _model(value: float) -> nn.Module:
    model = nn.Linear(2, 2)
    nn.init.constant_(model.weight, value)
    return model


def test_round_trip(tmp_path: Path) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    random = [{"cpu": torch.get_rng_state(), "cuda": []}]
    best = {"metrics": {"AP": 0.5}, "epoch": 1, "step": 3}
    images = {"val": Fingerprint("a.jpg\nb.jpg", np.array([3, -4]))}
    state = replace(
        TrainingState.of(images), epoch=1, batch=2, step=3, best=best, optimizer=optimizer.state_dict(), random=random
    )
    state.frozen = {"x": "digest"}
    save_checkpoint(tmp_path / "last", _model(3.0), {"task": "t"}, state)
    model = _model(0.0)
    load_weights_into(model, tmp_path / "last")
    assert (model.weight == 3).all()
    assert read_description(tmp_path / "last") == {"format": 1, "task": "t"}
    restored = read_state(tmp_path / "last")
    assert torch.equal(restored.random[0]["cpu"], random[0]["cpu"])  # type: ignore[index]
    assert (restored.step, restored.best, restored.frozen) == (3, best, {"x": "digest"})
    assert restored.fingerprints()["val"].by_name == {"a.jpg": 3, "b.jpg": -4}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last"]


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("dies_at", range(6))
def test_killed_while_writing_leaves_a_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    """Die at each of the steps that touch the disk; what `recover` finds is the old one or the new one."""
    last = tmp_path / "last"
    save_checkpoint(last, _model(1.0), {"number": 1})
    calls = 0

    def dying(function):  # type: ignore[no-untyped-def]
        def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            if calls > dies_at:
                raise _Killed
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", dying(checkpoint.save_file))
        patch.setattr(checkpoint.os, "fsync", dying(checkpoint.os.fsync))
        patch.setattr(checkpoint.os, "replace", dying(checkpoint.os.replace))
        with contextlib.suppress(_Killed):
            save_checkpoint(last, _model(2.0), {"number": 2})
    recover(last)
    model = _model(0.0)
    load_weights_into(model, last)
    number = read_description(last)["number"]
    assert (model.weight == number).all()
    assert number == (2 if dies_at >= 5 else 1)
    save_checkpoint(last, _model(3.0), {"number": 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last"]


def test_broken_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"it has no model\.json"):
        read_description(tmp_path)
    save_checkpoint(tmp_path / "last", _model(1.0), {})
    with pytest.raises(InputError, match="does not fit the model"):
        load_weights_into(nn.Linear(3, 3), tmp_path / "last")
    with pytest.raises(InputError, match=r"training\.pt: cannot be resumed from"):
        read_state(tmp_path / "last")
    (tmp_path / "last/model.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match=r"model\.safetensors: not a readable checkpoint"):
        load_weights_into(_model(0.0), tmp_path / "last")


def test_the_log_forgets_later_steps_and_half_lines(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in range(1, 6):
        run.append({"step": step, "split": "train"})
    with run.log.open("a") as file:
        file.write('{"step": 6, "spl')
    run.keep_until(3)
    assert [json.loads(line)["step"] for line in run.log.read_text().splitlines()] == [1, 2, 3]


def test_another_run_is_not_written_over(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.check_free()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/nohup.out").touch()
    run.check_free()
    (tmp_path / "run/config.yaml").touch()
    with pytest.raises(InputError, match="holds another run; add --resume"):
        run.check_free()
