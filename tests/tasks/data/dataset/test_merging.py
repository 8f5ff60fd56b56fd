"""Several folders, of several formats, under one class map."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backbones import InputError
from tasks.config import DetectionData, SegmentationData
from tasks.data.folders.tree import LayoutError
from tasks.data.formats.opening import open_data
from tests.writers import write_coco, write_voc, write_yolo

RED, WHITE, BLUE = ("red", 4, 6, 30, 40), ("white", 32, 8, 60, 30), ("blue", 10, 10, 20, 22)


def test_three_formats_under_one_class_map(tmp_path: Path) -> None:
    write_coco(tmp_path / "a", {"train": {"x": [WHITE, RED]}, "val": {"v": [RED]}}, [(3, "white"), (7, "red")])
    write_voc(tmp_path / "b", {"train": {"x": [BLUE, RED]}})
    write_yolo(tmp_path / "c", {"train": {"y": [WHITE]}, "val": {"w": [BLUE]}}, ["blue", "white"])
    data = open_data(DetectionData(path=str(tmp_path / "a"), also=(str(tmp_path / "b"), str(tmp_path / "c"))))
    assert data.classes == ("white", "red", "blue")
    found = {
        split: {
            sample.name: [(data.classes[label], *box) for label, box in zip(sample.labels, sample.boxes, strict=True)]
            for sample in samples
        }
        for split, samples in data.splits.items()
    }
    assert list(found["train"]) == ["a/train/x.jpg", "b/JPEGImages/x.jpg", "c/images/train/y.jpg"]
    assert found["train"]["a/train/x.jpg"] == [WHITE, RED]
    assert found["train"]["b/JPEGImages/x.jpg"] == [BLUE, RED]
    assert [box[0] for box in found["train"]["c/images/train/y.jpg"]] == ["white"]
    np.testing.assert_allclose(found["train"]["c/images/train/y.jpg"][0][1:], WHITE[1:], atol=1e-4)
    assert list(found["val"]) == ["a/val/v.jpg", "c/images/val/w.jpg"]
    assert all(sample.read().shape == (48, 64, 3) for samples in data.splits.values() for sample in samples)
    assert str(data).startswith("COCO and Pascal VOC and YOLO: 3 train, 2 val images; 3 classes")


def test_a_class_that_one_folder_does_not_label_is_said(tmp_path: Path) -> None:
    write_voc(tmp_path / "a", {"train": {f"x{k}": [WHITE, RED] for k in range(5)}})
    write_voc(tmp_path / "b", {"train": {f"y{k}": [BLUE, ("Red", 4, 6, 30, 40)] for k in range(5)}})

    def said(**settings: Any) -> list[str]:
        data = open_data(DetectionData(path=str(tmp_path / "a"), also=(str(tmp_path / "b"),), **settings))
        return [finding.message for finding in data.findings if finding.check == "class-partial"]

    assert [line.partition(", which")[0] for line in said()] == [
        f"{tmp_path}/a: has no Red, blue",
        f"{tmp_path}/b: has no red, white",
    ]
    assert [line.partition(", which")[0] for line in said(rename="Red=red")] == [
        f"{tmp_path}/a: has no blue",
        f"{tmp_path}/b: has no white",
    ]
    assert said(rename="Red=red", keep=("red",)) == []


def test_train_knows_which_classes_nobody_looked_for(tmp_path: Path) -> None:
    write_voc(tmp_path / "a", {"train": {"x0": [WHITE, RED], "x1": []}, "val": {"v": [RED]}})
    write_voc(tmp_path / "b", {"train": {"y": [BLUE, ("Red", 4, 6, 30, 40)]}, "val": {"w": [BLUE]}})
    write_coco(tmp_path / "negatives", {"train": {"z": []}, "val": {"u": []}}, [(1, "blue")])
    also = (str(tmp_path / "b"), str(tmp_path / "negatives"))

    def unlabelled(split: str, **settings: Any) -> dict[str, set[str]]:
        data = open_data(DetectionData(path=str(tmp_path / "a"), also=also, **settings))
        return {Path(one.name).stem: {data.classes[k] for k in one.unlabelled} for one in data.splits[split]}

    assert unlabelled("train") == {"x0": {"Red", "blue"}, "x1": {"Red", "blue"}, "y": {"red", "white"}, "z": set()}
    assert unlabelled("val") == {"v": set(), "w": set(), "u": set()}
    assert unlabelled("train", rename="Red=red") == {"x0": {"blue"}, "x1": {"blue"}, "y": {"white"}, "z": set()}
    assert unlabelled("train", rename="Red=red", keep=("red", "white")) == {
        "x0": set(),
        "x1": set(),
        "y": {"white"},
        "z": set(),
    }


def test_a_val_of_all_classes_beside_folders_of_some(tmp_path: Path) -> None:
    for name, box in (("a", RED), ("b", BLUE)):
        write_voc(tmp_path / name, {"train": {f"{name}{k}": [box] for k in range(5)}})
    val = write_voc(tmp_path / "val", {"train": {"v": [RED, BLUE]}})
    data = open_data(
        DetectionData(
            path=str(tmp_path / "a"),
            also=(str(tmp_path / "b"),),
            val_images=str(val / "JPEGImages"),
            val_annotations=str(val / "Annotations"),
        )
    )
    assert data.classes == ("red", "blue")
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 10, "val": 1}
    assert [data.classes[label] for label in data.splits["val"][0].labels] == ["red", "blue"]


def test_masks_are_merged_by_the_names_of_their_classes(tmp_path: Path) -> None:
    for folder, classes in (("a", "ground\ncell\n"), ("b", "ground\ndirt\ncell\n")):
        for kind in ("images", "masks"):
            (tmp_path / folder / "train" / kind).mkdir(parents=True)
        for number in (1, 2):
            Image.new("RGB", (8, 8)).save(tmp_path / folder / f"train/images/{number}.png")
            mask = Image.new("L", (8, 8), len(classes.split()) - 1)
            mask.putpixel((0, 0), 0)
            mask.save(tmp_path / folder / f"train/masks/{number}.png")
        (tmp_path / folder / "classes.txt").write_text(classes)
    settings = SegmentationData(path=str(tmp_path / "a"), also=(str(tmp_path / "b"),), val_fraction=0.5)
    data = open_data(settings, "masks")
    assert data.classes == ("ground", "cell", "dirt")
    samples = [sample for split in ("train", "val") for sample in data.splits[split]]
    names = [f"{folder}/train/images/{number}.png" for folder in "ab" for number in (1, 2)]
    assert sorted(sample.name for sample in samples) == names
    assert all((sample.mask.labels().reshape(-1)[1:] == 1).all() for sample in samples)


def test_another_folder_moves_no_image_between_train_and_val(tmp_path: Path) -> None:
    folders = [write_voc(tmp_path / name, {"train": {f"{name}{n}": [RED] for n in range(20)}}) for name in ("a", "b")]
    alone = open_data(DetectionData(path=str(folders[0])))
    both = open_data(DetectionData(path=str(folders[0]), also=(str(folders[1]),)))
    mine = {name for name in both.splits["val"].names if name.startswith("a/")}
    assert mine == {f"a/JPEGImages/{name}" for name in alone.splits["val"].names}
    assert len(both.splits["val"]) == 8


def test_what_cannot_be_merged_is_named(tmp_path: Path) -> None:
    folder = str(write_voc(tmp_path / "a", {"train": {"x": [RED]}, "val": {"v": [RED]}}))
    with pytest.raises(InputError, match=r"x\.jpg: is in two of the merged folders' train splits"):
        open_data(DetectionData(path=folder, also=(folder,)))
    with pytest.raises(LayoutError, match="shapes cannot be merged"):
        open_data(DetectionData(also=(folder,)))
    with pytest.raises(LayoutError, match="absent: there is no such data folder"):
        open_data(DetectionData(path=folder, also=(str(tmp_path / "absent"),)))
