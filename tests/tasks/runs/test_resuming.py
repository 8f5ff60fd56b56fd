"""What a resumed run may differ in, what it refuses, and where it goes on."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tasks.commands.train import main
from tasks.runs import fitting
from tasks.training import make_accelerator, overruled_environment
from tests.tasks.training.test_resume import assert_same_runs
from tests.writers import Images, write_voc

SMALL = "--backbone resnet18 --data.workers 0 --batch-size 2 --image-size 64 --head.channels 16 --epochs 2"
SMALL += " --head.representation 16 --head.rois-per-image 8 --schedule restarts --schedule.T-0 1"
RED = ("red", 4.0, 6.0, 40.0, 40.0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    train: Images = {name: [RED] for name in "abcd"}
    return write_voc(tmp_path / "data", {"train": train, "val": {"v": [RED]}, "test": {"t": [RED], "u": [RED]}})


def _train(data: Path, run: Path, *flags: str) -> int:
    return main([*SMALL.split(), "--data", str(data), "--output", str(run), *flags])


def test_a_signal_in_the_test_split_leaves_a_run_that_goes_on_there(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate = fitting.evaluate

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return evaluate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "evaluate", interrupted)
        assert _train(data, tmp_path / "run") == 130
    assert capsys.readouterr().err == "interrupted by SIGINT\n"
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "interrupted"
    assert main(["--resume", "--output", str(tmp_path / "run")]) == 0
    assert _train(data, tmp_path / "whole") == 0
    assert_same_runs(tmp_path / "run", tmp_path / "whole")
    one, two = (json.loads((tmp_path / name / "run.json").read_text())["test"] for name in ("run", "whole"))
    assert one == two
    assert one["images"] == 2


def test_more_epochs_where_the_schedule_lets_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert _train(data, run) == 0
    capsys.readouterr()
    assert main(["--resume", "--output", str(run)]) == 0
    said = capsys.readouterr().out
    assert f"{run}: this run is complete" in said
    assert f"another run goes on from its weights with --weights {run}" in said
    assert main(["--resume", "--output", str(run), "--epochs", "3"]) == 0
    assert _train(data, tmp_path / "whole", "--epochs", "3") == 0
    assert_same_runs(run, tmp_path / "whole")
    assert main(["--resume", "--output", str(run), "--epochs", "2"]) == 2
    assert "schedule.epochs: 2 contradicts 3" in capsys.readouterr().err
    cosine = tmp_path / "cosine"
    flags = ["--schedule", "cosine"] if "--schedule" not in SMALL else []
    assert main([*SMALL.split(" --schedule")[0].split(), *flags, "--data", str(data), "--output", str(cosine)]) == 0
    assert main(["--resume", "--output", str(cosine), "--epochs", "3"]) == 2
    error = capsys.readouterr().err
    assert "schedule.epochs: 3 contradicts 2" in error
    assert "with --weights RUN: this schedule's rates depend on the number of epochs" in error


def test_other_data_is_refused_with_what_is_other(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert _train(data, run, "--max-minutes", "1e-6") == 0
    xml = data / "Annotations/a.xml"
    before = xml.read_text()
    xml.write_text(before.replace("<xmax>40", "<xmax>41"))
    write_voc(data, {"train": {name: [RED] for name in "bcdef"}})
    xml.write_text(before)
    for name, number in (("b", 41), ("c", 42)):
        other = data / f"Annotations/{name}.xml"
        other.write_text(other.read_text().replace("<xmax>40.0", f"<xmax>{number}"))
    capsys.readouterr()
    assert main(["--resume", "--output", str(run)]) == 2
    assert capsys.readouterr().err == (
        f"{run}/last: was trained on other data: train: 2 images more (e.jpg); train: 1 image fewer (a.jpg); train: 2 "
        "images annotated otherwise (b.jpg); start another run, or add --resume-anyway, which goes on and writes that "
        "down\n"
    )
    assert main(["--resume", "--resume-anyway", "--max-minutes", "9", "--output", str(run)]) == 0
    assert "it goes on anyway" in capsys.readouterr().out
    (noted,) = json.loads((run / "run.json").read_text())["resumed_anyway"]
    assert noted.startswith("step 1: other data: train: 2 images more (e.jpg)")
    assert "resume_anyway" not in (run / "config.yaml").read_text()


def test_masks_of_another_size_on_disk_are_other_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (data / split / kind).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (64, 64), (number, 9, 9)).save(data / split / f"images/{number}.png")
            mask = Image.new("L", (64, 64))
            mask.paste(1, (8, 8, 40, 40))
            mask.save(data / split / f"masks/{number}.png")
    flags = "--task segmentation --backbone resnet18 --data.workers 0 --batch-size 1 --image-size 64 --epochs 1"
    flags += " --head.decoder-channels 16 16 16 16 16 --max-minutes 1e-6"
    assert main([*flags.split(), "--data", str(data), "--output", str(run)]) == 0
    mask.paste(0, (9, 9, 11, 12))
    mask.save(data / "train/masks/1.png")
    capsys.readouterr()
    assert main(["--resume", "--output", str(run)]) == 2
    assert "other data: train: 1 image annotated otherwise (" in capsys.readouterr().err


def test_settings_that_differ_may_be_overruled(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert _train(data, run, "--max-minutes", "1e-6") == 0
    assert main(["--resume", "--output", str(run), "--lr", "0.5"]) == 2
    assert "optim.lr: 0.5 contradicts 0.01" in capsys.readouterr().err
    flags = ["--resume", "--resume-anyway", "--output", str(run), "--lr", "0.005", "--max-minutes", "9"]
    assert main(flags) == 0
    assert "warning: optim.lr: is 0.005 from here on; it was 0.01" in capsys.readouterr().out
    noted = json.loads((run / "run.json").read_text())["resumed_anyway"]
    assert noted == ["step 1: optim.lr: is 0.005 from here on; it was 0.01"]


def test_an_augmentation_of_ones_own_is_the_runs(data: Path, tmp_path: Path) -> None:
    """The file may change, or go, after the run has begun."""
    own = tmp_path / "own.yaml"
    own.write_text("- HorizontalFlip: {p: 0.5}\n")
    flags = ("--data.augment", str(own))
    assert _train(data, tmp_path / "whole", *flags) == 0
    assert _train(data, tmp_path / "run", *flags, "--max-minutes", "1e-6") == 0
    own.write_text("- VerticalFlip: {p: 1.0}\n")
    assert main(["--resume", "--output", str(tmp_path / "run"), "--max-minutes", "9"]) == 0
    assert_same_runs(tmp_path / "run", tmp_path / "whole")
    (tmp_path / "moved").mkdir()
    (tmp_path / "run").rename(tmp_path / "moved/run")
    own.unlink()
    (tmp_path / "moved/run/run.json").unlink()
    assert main(["--resume", "--output", str(tmp_path / "moved/run")]) == 0


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert overruled_environment() == []
    harmless = {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1"}
    for name, value in (harmless | {"ACCELERATE_DYNAMO_BACKEND": "NO", "ACCELERATE_USE_CPU": "False"}).items():
        monkeypatch.setenv(name, value)  # as `accelerate launch` sets them by itself
    assert overruled_environment() == []
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    accelerator = make_accelerator("cpu")
    assert (accelerator.mixed_precision, accelerator.gradient_accumulation_steps) == ("no", 1)
    assert overruled_environment() == [
        "ACCELERATE_MIXED_PRECISION=bf16: has no say here; --precision decides",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS=4: has no say here; --accumulate decides",
    ]
    assert os.environ["ACCELERATE_MIXED_PRECISION"] == "bf16"
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert main(["--data.count", "4"]) == 2
    assert capsys.readouterr().err.startswith("ACCELERATE_USE_FSDP: FSDP is not supported")
