"""Segmentation through the same commands as detection."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tasks import load_predictor
from tasks.commands import main as vertebra
from tasks.commands.train import main
from tasks.data.formats.shapes import masked_shapes_data

ROOT = Path(__file__).resolve().parents[3]
SMALL = "--task segmentation --data.count 32 --epochs 2 --seed 1 --head.decoder-channels 32 24 16 16 8"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "masks"
    assert main([*SMALL.split(), "--head.deep-supervision", "--output", str(run)]) == 0
    return run


def test_a_run(finished: Path) -> None:
    summary = json.loads((finished / "run.json").read_text())
    assert summary["status"] == "completed"
    assert {"mIoU", "pixel_accuracy", "IoU/circle", "Dice/circle", "images"} <= summary["metrics"].keys()
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    train = [line for line in lines if line["split"] == "train"]
    assert {"cross_entropy", "dice", "loss"} <= train[0].keys()
    assert train[-1]["loss"] < train[0]["loss"]
    model = json.loads((finished / "best/model.json").read_text())
    assert (model["task"], model["classes"][0], model["head"]["deep_supervision"]) == (
        "segmentation",
        "background",
        True,
    )


def test_evaluate_gives_the_runs_own_figures(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = json.loads((finished / "run.json").read_text())["metrics"]
    assert vertebra(["evaluate", str(finished)]) == 0
    rows = dict(
        row.strip("│ ").replace(" ", "").split("│") for row in capsys.readouterr().out.splitlines() if "│" in row
    )
    assert float(rows["mIoU"]) == pytest.approx(expected["mIoU"], abs=5e-4)
    assert float(rows["pixel_accuracy"]) == pytest.approx(expected["pixel_accuracy"], abs=5e-4)


@pytest.mark.slow
def test_two_processes_share_the_images_out_and_count_each_once(finished: Path) -> None:
    expected = json.loads((finished / "run.json").read_text())["metrics"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(ROOT / "tools/evaluate.py"), str(finished), "--workers", "0"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    rows = dict(row.strip("│ ").replace(" ", "").split("│") for row in done.stdout.splitlines() if "│" in row)
    assert done.stdout.count("mIoU") == 1
    assert float(rows["mIoU"]) == pytest.approx(expected["mIoU"], abs=5e-4)
    assert float(rows["pixel_accuracy"]) == pytest.approx(expected["pixel_accuracy"], abs=5e-4)


def test_the_predictor_gives_labels_in_the_images_own_pixels(finished: Path, tmp_path: Path) -> None:
    predictor = load_predictor(finished)
    image = masked_shapes_data(1, 64).splits["train"][0].read()
    labels = predictor([image, image[:41, :50]])
    assert [tuple(found.shape) for found in labels] == [(64, 64), (41, 50)]
    assert labels[0].dtype == torch.int64
    Image.fromarray(image).save(tmp_path / "a.png")
    assert vertebra(["predict", str(finished), str(tmp_path / "a.png"), "--output", str(tmp_path / "predictions")]) == 0
    with Image.open(tmp_path / "predictions/a.jpg") as result:
        assert result.size == (64, 64)
        assert not np.array_equal(np.asarray(result), image)
    results = ["--results", str(tmp_path / "r.json")]
    assert vertebra(["evaluate", str(finished), *results]) == 2
    again = ["predict", str(finished), str(tmp_path / "a.png"), "--output", str(tmp_path / "again")]
    assert vertebra([*again, *results]) == 2
    assert not (tmp_path / "r.json").exists()


def test_a_run_resumes_to_the_same_weights(finished: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert main(["--config", str(finished / "config.yaml"), "--output", str(again)]) == 0
    assert (again / "metrics.jsonl").read_text() == (finished / "metrics.jsonl").read_text()


@pytest.mark.parametrize("options", ["--norm instance", "--norm group --head.decoder-channels 32 24 16 16 8"])
def test_other_norms_train(tmp_path: Path, options: str) -> None:
    flags = f"{SMALL.split('--head')[0]} {options} --data.count 8 --epochs 1 --batch-size 2"
    assert main([*flags.split(), "--output", str(tmp_path / "run")]) == 0


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags, message in [
        ("--data absent", "absent: there is no such data folder"),
        (f"--data {tmp_path}", "the data folder is empty"),
        ("--head.loss dise", "head.loss: 'dise' is not known; did you mean 'dice'"),
        ("--backbone cifar_resnet20", "images of about 32 px"),
    ]:
        assert main(["--task", "segmentation", *flags.split(), "--output", str(tmp_path / "run")]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert not (tmp_path / "run").exists()
