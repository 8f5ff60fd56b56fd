"""Whole runs through the command: what they leave behind, and how they go on after a SIGKILL."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file

from backbones import create_backbone
from tasks import load_predictor
from tasks.commands import main as vertebra
from tasks.commands.train import main
from tasks.data.formats.shapes import shapes_data
from tasks.training import trainer as trainer_module

ROOT = Path(__file__).resolve().parents[3]
SMALL = "--backbone resnet18 --data.count 24 --data.workers 0 --epochs 2 --batch-size 4"


def _train(output: Path, flags: str = "") -> int:
    return main([*SMALL.split(), *flags.split(), "--output", str(output)])


def _log(run: Path, split: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["split"] == split]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "shapes"
    assert _train(run) == 0
    return run


def test_what_a_run_leaves_behind(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {"config.yaml", "metrics.jsonl", "run.json", "best", "last"}
    train, val = _log(finished, "train"), _log(finished, "val")
    assert [line["step"] for line in train] == list(range(1, 13))
    assert [line["epoch"] for line in train] == [1] * 6 + [2] * 6
    assert [(line["step"], line["epoch"], line["images"]) for line in val] == [(6, 1, 16), (12, 2, 16)]
    assert train[-1]["loss"] < train[0]["loss"]
    summary = json.loads((finished / "run.json").read_text())
    assert summary["status"] == "completed"
    best = max(val, key=lambda line: line["AP"])
    assert summary["best"] == {"epoch": best["epoch"], "step": best["step"]}
    assert all(summary["metrics"][name] == best[name] for name in ("AP", "AP50", "AR100", "AP/circle", "images"))
    assert summary["seconds"] > summary["train_seconds"] > 0
    assert summary["images_per_second"] == pytest.approx(48 / summary["train_seconds"])
    model = json.loads((finished / "best/model.json").read_text())
    assert (model["task"], model["classes"], model["image_size"]) == ("detection", ["circle", "square", "triangle"], 64)
    assert model["epoch"] == best["epoch"]


def test_the_config_repeats_the_run(finished: Path, tmp_path: Path) -> None:
    assert main(["--config", str(finished / "config.yaml"), "--output", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again/metrics.jsonl").read_text() == (finished / "metrics.jsonl").read_text()


def test_the_number_of_workers_changes_nothing(finished: Path, tmp_path: Path) -> None:
    assert _train(tmp_path / "run", "--data.workers 2") == 0
    assert (tmp_path / "run/metrics.jsonl").read_text() == (finished / "metrics.jsonl").read_text()


def test_evaluate_gives_the_runs_own_figures(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = json.loads((finished / "run.json").read_text())["metrics"]
    for flags in ([], ["--evaluator", "pycocotools"]):
        assert vertebra(["evaluate", str(finished), *flags]) == 0
        rows = dict(
            row.strip("│ ").replace(" ", "").split("│") for row in capsys.readouterr().out.splitlines() if "│" in row
        )
        assert float(rows["AP"]) == pytest.approx(expected["AP"], abs=5e-4 + 1e-9)
        assert float(rows["AR100"]) == pytest.approx(expected["AR100"], abs=5e-4 + 1e-9)


def test_the_predictor_takes_paths_and_arrays(finished: Path, tmp_path: Path) -> None:
    predictor = load_predictor(finished)
    image = shapes_data(1, 64, seed=5).splits["train"][0].read()
    from PIL import Image

    Image.fromarray(image).save(tmp_path / "a.png")
    from_file, from_array = predictor([tmp_path / "a.png", image])
    assert torch.equal(from_file.boxes, from_array.boxes)
    assert predictor.classes == ("circle", "square", "triangle")
    assert from_file.scores.tolist() == sorted(from_file.scores.tolist(), reverse=True)


def test_paths_with_brackets_are_printed_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "a[/b]c[red]:cat:"
    flags = "--data.count 4 --epochs 1 --head.channels 16 --head.representation 16 --schedule.name restarts"
    assert main([*flags.split(), "--output", str(run)]) == 0
    output = capsys.readouterr().out
    assert f"training into {run}" in output
    assert f"the best checkpoint is {run}/best" in output
    assert main(["--output", str(run)]) == 2
    assert f"{run}: holds another run" in capsys.readouterr().err
    assert main(["--resume", "--output", str(run)]) == 0
    assert f"{run}: this run is complete" in capsys.readouterr().out


def test_mean_and_std_come_back_with_the_checkpoint(tmp_path: Path) -> None:
    """They belong to the weights that the run began with: timm's pre-activated networks take -1..1."""
    torch.save(timm.create_model("resnetv2_18").state_dict(), tmp_path / "w.pth")
    flags = f"--backbone resnetv2_18 --weights {tmp_path / 'w.pth'} --data.count 8 --data.workers 0 --epochs 1"
    assert main([*flags.split(), "--output", str(tmp_path / "run")]) == 0
    backbone = load_predictor(tmp_path / "run")._task.backbone
    assert backbone.mean == backbone.std == (0.5, 0.5, 0.5)


def test_predict_draws_and_skips_the_unreadable(finished: Path, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "in").mkdir()
    Image.fromarray(shapes_data(1, 64).splits["train"][0].read()).save(tmp_path / "in/a.png")
    out = tmp_path / "out"
    argv = ["predict", str(finished), str(tmp_path / "in"), "--output", str(out), "--score", "0.05"]
    assert vertebra(argv) == 0
    with Image.open(out / "a.jpg") as result:
        assert result.size == (64, 64)
    (tmp_path / "in/b.png").write_text("no image")
    assert vertebra(argv) == 1
    assert [path.name for path in out.iterdir()] == ["a.jpg"]
    assert vertebra(["predict", str(finished), str(tmp_path / "in"), "--output", str(tmp_path / "in")]) == 2
    (tmp_path / "more").mkdir()
    (tmp_path / "in/a.png").rename(tmp_path / "more/a.png")
    argv[2:3] = [str(tmp_path / "more"), str(tmp_path / "more/a.png")]
    assert vertebra(argv) == 0
    assert sorted(path.name for path in out.iterdir()) == ["a-2.jpg", "a.jpg"]


@pytest.mark.filterwarnings("default:freezing a backbone")
def test_frozen_stages_are_bit_identical_after_twenty_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With batch norm, and against the start as it is built again from the seed."""
    flags = "--freeze 1-3 --verify-freeze --data.count 80 --epochs 1 --backbone.hold-norms False --seed 4"
    assert _train(tmp_path / "run", flags) == 0
    captured = capsys.readouterr().out
    assert "frozen tensors are bit for bit what they were" in captured
    assert "warning: freezing a backbone that has no pretrained weights" in captured
    assert _log(tmp_path / "run", "train")[-1]["step"] == 20
    torch.manual_seed(4)
    start = create_backbone("resnet18").state_dict()
    end = load_file(tmp_path / "run/last/model.safetensors")
    assert set(start) == {key.removeprefix("backbone.body.") for key in end if key.startswith("backbone.body.")}
    same = {key for key, value in start.items() if torch.equal(value, end[f"backbone.body.{key}"])}
    assert same == {key for key in start if not key.startswith("layer4")}


@pytest.mark.filterwarnings("default:freezing a backbone")
def test_a_frozen_tensor_that_changed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate = trainer_module.evaluate

    def spoil(task: Any, *args: Any) -> Any:
        task.backbone.conv1.weight.data[0, 0, 0, 0] += 1e-6
        return evaluate(task, *args)

    monkeypatch.setattr(trainer_module, "evaluate", spoil)
    assert _train(tmp_path / "run", "--freeze 1 --verify-freeze --epochs 1 --data.count 4") == 1
    assert "frozen tensors changed, the first conv1.weight" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_stops_with_the_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train(tmp_path / "run", "--optim.name sgd --lr 1e20 --optim.clip-norm 1e30") == 1
    error = capsys.readouterr().err
    assert "the loss is" in error
    assert "shapes-0-0000" in error
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "failed"


def _start(output: Path, *flags: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "tools/train.py", *SMALL.split(), *flags, "--output", str(output)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def _wait_for_step(run: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        log = run / "metrics.jsonl"
        if log.exists() and len(log.read_text().splitlines()) > step:
            return
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.05)
    raise AssertionError("it did not get there")


def _same_weights(one: Path, two: Path) -> bool:
    a, b = (load_file(run / "model.safetensors") for run in (one, two))
    return set(a) == set(b) and all(torch.equal(value, b[key]) for key, value in a.items())


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_killed_and_resumed_equals_never_killed(tmp_path: Path, precision: str, finished: Path) -> None:
    """SIGKILL in the middle of the second epoch, between two saves, with workers that read ahead."""
    run = tmp_path / "killed"
    process = _start(run, "--save-every", "2", "--precision", precision, "--data.workers", "2")
    _wait_for_step(run, 10, process)  # nine steps and a line of validation
    process.kill()
    process.communicate()
    assert not (run / "run.json").exists()
    assert main(["--resume", "--output", str(run)]) == 0

    whole = finished
    if precision != "fp32":
        whole = tmp_path / "whole"
        assert _train(whole, f"--precision {precision}") == 0
    assert (run / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text()
    for checkpoint in ("last", "best"):
        assert _same_weights(run / checkpoint, whole / checkpoint)
    one, two = (json.loads((folder / "run.json").read_text()) for folder in (run, whole))
    assert one["metrics"] == two["metrics"]
    assert main(["--resume", "--output", str(run)]) == 0  # complete: nothing to do


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_runs_save_where_they_stood(
    tmp_path: Path, number: signal.Signals, code: int, finished: Path
) -> None:
    run = tmp_path / "run"
    process = _start(run, "--data.workers", "1")
    _wait_for_step(run, 2, process)
    os.killpg(process.pid, number)  # as a terminal or a batch system does
    _, errors = process.communicate()
    assert (process.returncode, errors.decode().splitlines()) == (code, [f"interrupted by {number.name}"])
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert (run / "last" / "model.safetensors").exists()
    assert main(["--resume", "--output", str(run)]) == 0
    assert (run / "metrics.jsonl").read_text() == (finished / "metrics.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_signal_that_the_workers_get_first_is_an_interruption_too(tmp_path: Path) -> None:
    """As a batch system sends it: to every process by itself, in any order."""
    run = tmp_path / "run"
    process = _start(run, "--data.workers", "1")
    _wait_for_step(run, 2, process)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert workers
    for worker in workers:
        os.kill(int(worker), signal.SIGTERM)
    time.sleep(0.1)
    process.terminate()
    _, errors = process.communicate()
    assert (process.returncode, errors.decode()) == (143, "interrupted by SIGTERM\n")
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"


BAD_INPUT: list[tuple[str, str]] = [
    ("--data absent --data.count 700", "absent: there is no such data folder"),
    ("--backbone resnet5", "backbone 'resnet5' is not known; did you mean"),
    ("--freeze 2-3", "freeze '2-3' is not a prefix"),
    ("--freeze 5", "this backbone has the stages 1-4"),
    ("--norm bach", "norm 'bach' is not known; did you mean 'batch'"),
    ("--weights absent.pth", "absent.pth: there is no such weights file"),
    ("--epoch 3", "--epoch: there is no such flag"),
    ("--config absent.yaml", "'absent.yaml': neither a file nor a recipe"),
    ("--lr inf", "optim.lr"),
    ("--image-size 8", "data.image_size: 8: Input should be greater than or equal to 32"),
]


@pytest.mark.parametrize(("flags", "message"), BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str, message: str
) -> None:
    assert _train(tmp_path / "run", flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_another_run_is_not_written_over(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / "metrics.jsonl").read_text()
    assert _train(finished) == 2
    assert "holds another run; add --resume" in capsys.readouterr().err
    assert (finished / "metrics.jsonl").read_text() == before


def test_weights_of_another_network_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(create_backbone("resnet34").state_dict(), tmp_path / "w.pth")
    assert _train(tmp_path / "run", f"--backbone resnet50 --weights {tmp_path / 'w.pth'}") == 2
    assert "w.pth: does not fit this model" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_resume_refuses_what_contradicts_the_run(
    tmp_path: Path, voc: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = voc(), tmp_path / "run"
    flags = f"--data {folder} --data.count 700 --image-size 64 --epochs 1 --head.representation 16"
    assert _train(run, flags) == 0
    (run / "run.json").unlink()  # as if it had been killed at the end
    assert main(["--resume", "--output", str(run), "--lr", "0.5"]) == 2
    assert "optim.lr: 0.5 contradicts 0.01" in capsys.readouterr().err
    assert main(["--resume", "--output", str(run), "--save-every", "7"]) == 0

    (run / "run.json").unlink()
    (folder / "ImageSets/Main/train.txt").write_text("b\n")
    assert main(["--resume", "--output", str(run)]) == 2
    assert "was trained on other data: train: 1 image fewer (a.jpg)" in capsys.readouterr().err
    (folder / "ImageSets/Main/train.txt").write_text("a\nb\n")
    for path in (folder / "Annotations").glob("*.xml"):
        path.write_text(path.read_text().replace("white", "yellow"))
    weights = (run / "last/model.safetensors").read_bytes()
    assert main(["--resume", "--output", str(run)]) == 2
    assert "was trained on the classes red, white; the data has red, yellow" in capsys.readouterr().err
    assert (run / "last/model.safetensors").read_bytes() == weights


def test_resume_without_a_checkpoint_starts_over_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(tmp_path / "run", "--resume --epochs 1 --data.count 4") == 0
    assert "no last/ to resume from: the run starts over" in capsys.readouterr().out


def test_an_image_that_breaks_under_way_stops_with_its_name(
    tmp_path: Path, voc: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = voc()
    path = folder / "JPEGImages/a.jpg"
    path.write_bytes(path.read_bytes()[:400] + b"\xff\xd9")  # its end is there, its middle is not
    assert _train(tmp_path / "run", f"--data {folder} --data.count 700 --image-size 64 --data.workers 1") == 2
    error = capsys.readouterr().err
    assert "a.jpg: not a readable image" in error
    assert error.count("\n") == 1


def test_unknown_commands_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert vertebra(["trian"]) == 2
    assert "trian" in capsys.readouterr().err
    assert vertebra(["--help"]) == 0
