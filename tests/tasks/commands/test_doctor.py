"""The doctor as a command: tables, JSON, a page, a sheet, new files, and exit codes."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tasks.commands import main as vertebra
from tests.writers import CELLS, write_coco, write_voc


def test_a_training_that_would_fail_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_voc(tmp_path / "data", CELLS)
    (folder / "JPEGImages/a.jpg").unlink()
    argv = ["doctor", "--task", "detection", "--data", str(folder), "--output", str(tmp_path / "page")]
    assert vertebra(argv) == 1
    output = capsys.readouterr().out
    assert "missing images" in output
    assert "a training would fail" in output
    assert vertebra(["train", "--data", str(folder), "--output", str(tmp_path / "run")]) == 2
    assert "a.jpg" in capsys.readouterr().err


def test_findings_as_json_and_on_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splits = {"train": {"a": [("red", 5, 5, 5, 30), ("red", 4, 4, 30, 30)]}, "val": {"v": [("red", 4, 4, 30, 30)]}}
    folder = write_coco(tmp_path / "data", splits, [(1, "red")])
    argv = ["doctor", "--data", str(folder), "--output", str(tmp_path / "page"), "--image-size", "64"]
    assert vertebra([*argv, "--json", "--fix", str(tmp_path / "mended")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["fails"]
    assert found["classes"] == {"red": {"train": 1, "val": 1}}
    levels = {check["check"]: check["level"] for check in found["checks"]}
    assert levels == {"box-no-area": "dropped", "class-rare": "note"}
    assert found["checks"][0]["findings"][0]["box"] == [5, 5, 5, 30]
    page = (tmp_path / "page/worst.html").read_text()
    assert "a.jpg" in page
    assert "data:image/jpeg;base64," in page
    mended = json.loads((tmp_path / "mended/annotations/instances_train.json").read_text())
    assert [item["bbox"] for item in mended["annotations"]] == [[4, 4, 26, 26]]


def test_what_is_not_corrected_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{name}.png,1,2,30,40,cell\n" * 2 for name in "abc")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/boxes.csv").write_text(f"image,xmin,ymin,xmax,ymax,class\n{rows}")
    for name in "abc":
        Image.new("RGB", (64, 48)).save(tmp_path / f"data/{name}.png")
    argv = ["doctor", "--data", str(tmp_path / "data"), "--data.val-fraction", "0.4", "--fix", str(tmp_path / "mended")]
    assert vertebra(argv) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "3 findings stand in files of a format that is not corrected: convert the data set to COCO first" in output
    assert not (tmp_path / "mended").exists()


@pytest.mark.parametrize(("task", "augment"), [("detection", "mosaic"), ("segmentation", "strong")])
def test_augmentations_go_on_a_sheet(tmp_path: Path, task: str, augment: str) -> None:
    argv = f"doctor --task {task} --data.count 8 --data.augment {augment} --image-size 64 --show-augmentations 3"
    assert vertebra([*argv.split(), "--output", str(tmp_path)]) == 0
    with Image.open(tmp_path / "augmentations.jpg") as sheet:
        assert sheet.size == (5 * 260 + 4, 3 * 260 + 4)


@pytest.mark.parametrize("what", ["absent", "empty", "of no layout"])
def test_what_is_no_data_set_is_exit_code_2(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    if what != "absent":
        folder.mkdir()
    if what == "of no layout":
        (folder / "notes.txt").touch()
    assert vertebra(["doctor", "--data", str(folder)]) == 2
    assert str(folder) in capsys.readouterr().err


def test_training_says_what_is_odd_before_it_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    box = ("red", 4, 4, 30, 30)
    folder = write_voc(tmp_path / "data", {"train": {"a": [box, box, ("red", 5, 5, 5, 9)]}, "val": {"v": [box]}})
    argv = f"train --data {folder} --backbone resnet18 --image-size 64 --head.channels 16 --epochs 1 --data.workers 0"
    assert vertebra([*argv.split(), "--output", str(tmp_path / "run")]) == 0
    output = capsys.readouterr().out
    assert "warning: boxes dropped in all: 1" in output
    assert "warning: 1 objects annotated twice (the first: " in output
