"""The other detection heads and their files through the commands."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tasks import load_predictor
from tasks.commands import main as vertebra
from tasks.commands.train import main
from tasks.data.formats.shapes import shapes_data
from tests.writers import CELLS, write_coco, write_voc, write_yolo


@pytest.mark.slow
def test_masks_are_found_evaluated_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    argv = "--head mask_rcnn --data.count 12 --epochs 1 --head.channels 16 --head.score-threshold 0.001"
    assert main([*argv.split(), "--output", str(run)]) == 0
    assert "anchors: " in capsys.readouterr().out
    metrics = json.loads((run / "run.json").read_text())["metrics"]
    assert {"AP", "segm_AP", "segm_AP50", "segm_AP/circle"} <= metrics.keys()
    assert json.loads((run / "best/model.json").read_text())["metrics"] == metrics

    results = tmp_path / "results.json"
    assert vertebra(["evaluate", str(run), "--results", str(results), "--mistakes"]) == 0
    assert "TIDE" in capsys.readouterr().out
    found = json.loads(results.read_text())
    assert {"image_id", "file_name", "category_id", "bbox", "score", "segmentation"} == found[0].keys()

    image = shapes_data(1, 64).splits["train"][0].read()
    Image.fromarray(image).save(tmp_path / "a.png")
    predict = ["predict", str(run), str(tmp_path / "a.png"), "--output", str(tmp_path / "predictions")]
    assert vertebra([*predict, "--score", "0", "--results", str(results)]) == 0
    mine = json.loads(results.read_text())
    assert mine[0]["segmentation"]["size"] == [64, 64]
    predictor = load_predictor(run)
    assert len(predictor.thresholds) == 3
    detections = predictor([image])[0]
    assert detections.masks.shape == (len(detections.boxes), 64, 64)
    assert len(detections.above([2.0] * 3).boxes) == 0


def test_results_have_the_numbers_of_the_datas_own_file(tmp_path: Path) -> None:
    """Gaps in the category ids, ids of images that do not count from 1; crowds and polygons are there."""

    def edit(split: str, content: dict[str, Any]) -> None:
        for image in content["images"]:
            image["id"] += 100
        for item in content["annotations"]:
            item["image_id"] += 100
            x, y, w, h = item["bbox"]
            item["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]

    folder = write_coco(tmp_path / "data", CELLS, [(3, "white"), (7, "red")], edit=edit)
    run, results = tmp_path / "run", tmp_path / "results.json"
    argv = f"--data {folder} --backbone resnet18 --image-size 64 --head.channels 16 --head.representation 16 --epochs 1"
    assert main([*argv.split(), "--data.workers", "0", "--head.score-threshold", "0", "--output", str(run)]) == 0
    assert vertebra(["evaluate", str(run), "--results", str(results), "--workers", "0"]) == 0
    found = json.loads(results.read_text())
    assert {item["image_id"] for item in found} == {101}
    assert {item["file_name"] for item in found} == {"c.jpg"}
    assert {item["category_id"] for item in found} <= {3, 7}


def test_the_same_data_in_three_formats_trains_the_same(tmp_path: Path) -> None:
    """COCO and VOC bit for bit, with a rare class repeated; YOLO writes shares of the image, and rounds."""
    splits = {
        "train": {f"t{n}": [("red", 4, 6, 30, 40), ("white", 32 - n, 8, 60, 30)][: 1 + n % 2] for n in range(6)},
        "val": {"v": [("red", 4, 6, 30, 40), ("white", 32, 8, 60, 30)]},
    }
    folders = {
        "coco": write_coco(tmp_path / "coco", splits, [(3, "red"), (9, "white")]),
        "voc": write_voc(tmp_path / "voc", splits),
        "yolo": write_yolo(tmp_path / "yolo", splits, ["red", "white"]),
    }
    argv = "--backbone resnet18 --image-size 64 --head.channels 16 --head.representation 16 --epochs 1 --seed 3"
    argv += " --data.workers 0 --data.augment strong --data.sampling repeat --data.repeat-threshold 0.9"
    weights, losses = {}, {}
    for form, folder in folders.items():
        run = tmp_path / f"run-{form}"
        assert main([*argv.split(), "--data", str(folder), "--output", str(run)]) == 0
        weights[form] = (run / "best/model.safetensors").read_bytes()
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        losses[form] = [line["loss"] for line in lines if line["split"] == "train"]
    assert weights["coco"] == weights["voc"]
    assert losses["coco"] == losses["voc"]
    assert losses["yolo"] == pytest.approx(losses["coco"], rel=1e-3)


@pytest.mark.parametrize("head", ["retinanet", "fcos"])
def test_one_stage_heads_train(tmp_path: Path, head: str) -> None:
    argv = f"--head {head} --data.count 8 --epochs 1 --head.channels 64 --data.augment strong"
    assert main([*argv.split(), "--output", str(tmp_path / "run")]) == 0


def test_what_a_head_cannot_do_is_said_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_voc(tmp_path / "voc", CELLS)
    assert main(["--data", str(folder), "--head", "mask_rcnn", "--output", str(tmp_path / "run")]) == 2
    assert (
        "this is Pascal VOC, with boxes and no polygons; take COCO, Supervisely, YOLO, instance masks, LabelMe, "
        in capsys.readouterr().err
    )
    assert main(["--head", "fcos", "--head.channels", "16", "--output", str(tmp_path / "run")]) == 2
    assert "head.channels: 16: fcos has group norms of 32 groups" in capsys.readouterr().err
    for flags, message in (
        ("--data.augment lite", "'lite' is neither an augmentation; did you mean 'light'"),
        ("--head mask_rcnn --data.augment mosaic", "makes mosaics, which have no masks"),
    ):
        assert main([*flags.split(), "--output", str(tmp_path / "run")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
