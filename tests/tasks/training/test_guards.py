"""What a training does when something is wrong, and the short trainings that find it out before."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from tasks.commands.train import main
from tasks.runs.trials import check_overfit
from tasks.segmentation import SegmentationTask
from tasks.training import Run, TrainingError

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
ROOT = Path(__file__).resolve().parents[3]
SMALL = "--task segmentation --backbone resnet18 --data.count 20 --data.workers 0 --epochs 1 --batch-size 4"
SMALL += " --image-size 64 --head.decoder-channels 16 16 16 16 16 --optim.name adamw"


def _train(run: Path, flags: str = "") -> int:
    return main([*SMALL.split(), *flags.split(), "--output", str(run)])


def _log(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["split"] == "train"]


def _spoil(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Make the losses of these calls infinite."""
    losses, calls = SegmentationTask.losses, []

    def spoilt(self: SegmentationTask, model: Any, batch: Any) -> dict[str, torch.Tensor]:
        if batch.names[0] != "the smallest of train":
            calls.append(1)
        factor = float("inf") if len(calls) in steps else 1.0
        return {name: factor * loss for name, loss in losses(self, model, batch).items()}

    monkeypatch.setattr(SegmentationTask, "losses", spoilt)


def test_what_is_not_finite_stops_with_its_images_and_can_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        _spoil(patch, {3})
        assert _train(run) == 1
    error = capsys.readouterr().err
    assert "the loss is inf at step 3, images shapes-0-" in error
    assert f"--replay {run}/step-3.pt" in error
    assert error.count("\n") == 1
    assert [line["step"] for line in _log(run)] == [1, 2]
    kept = torch.load(run / "step-3.pt", weights_only=True)
    assert all(value.isfinite().all() for value in kept["weights"].values())
    assert main(["--replay", str(run / "step-3.pt")]) == 0
    output = capsys.readouterr().out
    assert "step 3, images shapes-0-" in output
    assert "weights that are not finite: none" in output
    assert "the first layer whose output is not finite: none" in output
    name = "net.backbone.layer1.0.conv1.weight"
    kept["weights"][name][0, 0, 0, 0] = torch.nan
    torch.save(kept, run / "step-3.pt")
    assert main(["--replay", str(run / "step-3.pt")]) == 0
    output = capsys.readouterr().out
    assert f"weights that are not finite: {name}" in output
    assert f"the first layer whose output is not finite: {name.removesuffix('.weight')}" in output
    (run / "step-3.pt").write_text("no step")
    assert main(["--replay", str(run / "step-3.pt")]) == 2
    assert "not a step that a training has kept" in capsys.readouterr().err


def test_the_step_after_one_that_is_not_finite_moves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host hears of a step while the next is under way: the weights are those that met the images."""
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        _spoil(patch, {3})
        assert _train(run) == 1
    assert _train(tmp_path / "whole", "--save-every 2 --max-minutes 1000") == 0
    kept = torch.load(run / "step-3.pt", weights_only=True)["weights"]
    again = tmp_path / "again"
    with monkeypatch.context() as patch:
        _spoil(patch, {3})
        assert _train(again, "--save-every 2") == 1
    saved = load_file(again / "last/model.safetensors")
    assert all(torch.equal(kept[key], value) for key, value in saved.items() if not key.endswith(BUFFERS))


def test_skipped_steps_are_said_and_have_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        _spoil(patch, {3})
        assert _train(tmp_path / "run", "--non-finite skip") == 0
    assert capsys.readouterr().out.count("warning: the loss is inf at step 3") == 1
    log = _log(tmp_path / "run")
    assert [line["step"] for line in log] == [1, 2, 3, 4, 5]
    assert all(torch.isfinite(torch.tensor(line["loss"])) for line in log if line["step"] != 3)
    weights = load_file(tmp_path / "run/last/model.safetensors")
    assert all(value.isfinite().all() for value in weights.values())  # running statistics as well
    monkeypatch.setattr("tasks.training.trainer._MOST_SKIPPED", 2)
    with monkeypatch.context() as patch:
        _spoil(patch, {2, 3, 4})
        assert _train(tmp_path / "many", "--non-finite skip") == 1
    assert "the loss is inf at step 4, 3 steps in a row" in capsys.readouterr().err


def test_fp16_finds_its_scale_and_learns(tmp_path: Path) -> None:
    assert _train(tmp_path / "half", "--precision fp16 --data.count 8") == 0
    assert _train(tmp_path / "full", "--data.count 8") == 0
    half, full = _log(tmp_path / "half"), _log(tmp_path / "full")
    assert half[-1]["loss"] == pytest.approx(full[-1]["loss"], rel=0.1)
    state = torch.load(tmp_path / "half/last/training.pt", weights_only=True)
    assert state["scaler"]["scale"] > 1


def test_parts_of_a_step_are_the_step(tmp_path: Path) -> None:
    """Norms that see one image at a time, and a loss that is a mean over pixels, of which every image has as many."""
    flags = "--norm instance --head.loss cross_entropy --image-size 96 --optim.name sgd --optim.lr 0.005"
    for parts in (1, 2, 3):
        assert _train(tmp_path / str(parts), f"{flags} --accumulate {parts}") == 0
    whole = [line["loss"] for line in _log(tmp_path / "1")]
    for parts in ("2", "3"):
        assert [line["loss"] for line in _log(tmp_path / parts)] == pytest.approx(whole, rel=1e-4)


def test_out_of_memory_doubles_the_parts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    losses, most = SegmentationTask.losses, 2

    def narrow(self: SegmentationTask, model: Any, batch: Any) -> dict[str, torch.Tensor]:
        if self.model.training and len(batch) > most and batch.names[0] != "the smallest of train":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses(self, model, batch)

    monkeypatch.setattr(SegmentationTask, "losses", narrow)
    assert _train(tmp_path / "run") == 0
    said = "warning: out of memory: from here on a step's images are computed in 2 parts; --accumulate 2 does so"
    assert capsys.readouterr().out.count(said) == 1
    assert len(_log(tmp_path / "run")) == 5
    most = 1
    assert _train(tmp_path / "less") == 1
    assert "out of memory at step 1, in 2 parts; take a smaller --image-size" in capsys.readouterr().err


def test_patience_and_minutes_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = iter([0.1, 0.3, 0.2, 0.25, 0.9])
    with monkeypatch.context() as patch:
        patch.setattr(
            "tasks.segmentation.metric.SegmentationMetric.compute",
            lambda self: {"mIoU": next(figures), "images": len(self.samples)},
        )
        assert _train(tmp_path / "patient", "--epochs 9 --patience 2 --data.count 8") == 0
    summary = json.loads((tmp_path / "patient/run.json").read_text())
    assert (summary["epochs"], summary["best"]["epoch"]) == (4, 2)

    capsys.readouterr()
    run = tmp_path / "short"
    assert _train(run, "--max-minutes 1e-6") == 0
    assert capsys.readouterr().err == "1e-06 minutes are over; --resume goes on\n"
    assert json.loads((run / "run.json").read_text())["status"] == "stopped"
    assert main(["--resume", "--max-minutes", "9", "--output", str(run)]) == 0
    assert _train(tmp_path / "whole") == 0
    assert (run / "metrics.jsonl").read_text() == (tmp_path / "whole/metrics.jsonl").read_text()


def test_averaged_weights_by_hand(tmp_path: Path) -> None:
    """After the first step they are the weights; at the second a share of min(0.9, 1 - 2^(-2/3)) stays (timm's)."""
    run, name = tmp_path / "run", "net.backbone.conv1.weight"
    assert _train(run, "--ema 0.9 --data.count 8 --max-minutes 1e-6") == 0
    first = load_file(run / "last/model.safetensors")[name]
    state = torch.load(run / "last/training.pt", weights_only=True)
    assert torch.equal(state["average"][name], first)
    assert main(["--resume", "--max-minutes", "9", "--output", str(run)]) == 0
    second, averaged = (load_file(run / kind / "model.safetensors") for kind in ("last", "best"))
    share = 1 - 2 ** (-2 / 3)
    torch.testing.assert_close(averaged[name], share * first + (1 - share) * second[name])
    statistics = "net.backbone.bn1.running_mean"
    assert torch.equal(averaged[statistics], second[statistics])


def test_averaged_weights_are_what_is_kept(tmp_path: Path) -> None:
    assert _train(tmp_path / "run", "--ema 0.9 --data.count 8") == 0
    last, best = (load_file(tmp_path / "run" / name / "model.safetensors") for name in ("last", "best"))
    assert not torch.equal(last["net.backbone.conv1.weight"], best["net.backbone.conv1.weight"])
    state = torch.load(tmp_path / "run/last/training.pt", weights_only=True)
    assert all(torch.equal(value, best[key]) for key, value in state["average"].items())


@pytest.mark.slow
def test_four_images_are_learnt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["--overfit", "4", "--output", str(run)]) == 0
    assert "AP is 1.000 on the same images: it learns" in capsys.readouterr().out


@pytest.mark.parametrize(("last", "metric", "learns"), [(0.09, 0.95, True), (0.11, 0.95, False), (0.05, 0.8, False)])
def test_what_counts_as_learnt(
    last: float, metric: float, learns: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loss below a tenth of the first, as the mean of the last ten steps, and the metric from 0.9 on."""
    run, task = Run(tmp_path), SimpleNamespace(best_metric="AP")
    for loss in [1.0, *[last] * 10]:
        run.append({"split": "train", "loss": loss})
    console = Console()
    if learns:
        check_overfit(run, task, metric, console)  # type: ignore[arg-type]
        assert "it learns" in capsys.readouterr().out
    else:
        with pytest.raises(TrainingError, match=rf"overfit: the loss went from 1\.000 to {last:.3f} and AP is"):
            check_overfit(run, task, metric, console)  # type: ignore[arg-type]


def test_a_dry_run_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train(tmp_path / "run", "--dry-run --data.count 700 --epochs 50") == 0
    assert not (tmp_path / "run").exists()
    assert "dry run: two steps, the validation and the checkpoints went through" in capsys.readouterr().out


@pytest.mark.slow
def test_a_worker_that_dies_is_reported_with_what_it_read(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "tools/train.py", *SMALL.split(), "--data.count", "4000", "--data.workers", "1"]
    process = subprocess.Popen(
        [*command, "--output", str(run)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while not (run / "metrics.jsonl").exists() or len(_log(run)) < 2:
        time.sleep(0.05)
        assert process.poll() is None
    worker = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
    os.kill(int(worker), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("a process that reads images was killed while it was at shapes-0-")
    assert errors.count("\n") == 1
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
