"""YOLO folders: what is read, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbones import InputError
from tasks.config import Annotations, DetectionData
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.formats.opening import open_data
from tasks.data.masks.polygons import object_mask
from tests.writers import CELLS, write_coco, write_yolo

Write = Callable[..., Path]


def _open(folder: Path, annotations: Annotations = "boxes") -> DataSet[Sample]:
    return open_data(DetectionData(path=str(folder)), annotations)


def test_boxes(yolo: Write) -> None:
    data = _open(yolo())
    assert data.layout == "YOLO"
    assert data.classes == ("white", "red")
    a, b = data.splits["train"]
    assert [a.name, b.name] == ["a.jpg", "b.jpg"]
    assert np.abs(b.boxes - [[4, 6, 30, 40], [32, 8, 60, 30]]).max() < 1e-4
    assert b.labels.tolist() == [1, 0]
    assert a.read().shape == (48, 64, 3)


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_same_boxes_as_coco_to_a_ten_thousandth_of_a_pixel(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    interval = st.lists(st.floats(0, 47), min_size=2, max_size=2).map(sorted).filter(lambda pair: pair[1] - pair[0] > 1)
    box = st.builds(lambda name, x, y: (name, x[0], y[0], x[1], y[1]), st.sampled_from("rw"), interval, interval)
    images = data.draw(st.lists(st.lists(box, max_size=4), min_size=1, max_size=3))
    images.append([("r", 0, 0, 9, 9)])  # without any there is nothing to learn
    splits = {"train": {f"p{i}": list(p) for i, p in enumerate(images)}, "val": {"v": []}}
    folder = tmp_path_factory.mktemp("formats")
    one = _open(write_yolo(folder / "yolo", splits, "rw"))
    other = _open(write_coco(folder / "coco", splits, [(1, "r"), (2, "w")]))
    assert one.classes == other.classes
    for mine, theirs in zip(one.splits["train"], other.splits["train"], strict=True):
        assert mine.labels.tolist() == theirs.labels.tolist()
        assert np.abs(mine.boxes - theirs.boxes).max(initial=0) < 1e-4


def test_polygons_are_boxes_and_masks(yolo: Write) -> None:
    folder = yolo({"train": {"a": []}, "val": {"v": []}})
    (folder / "labels/train/a.txt").write_text("1 0.25 0.25 0.75 0.25 0.75 0.5 0.25 0.5\n")
    sample = _open(folder, "polygons").splits["train"][0]
    assert sample.boxes.tolist() == [[16, 12, 48, 24]]
    expected = np.zeros((48, 64), np.bool_)
    expected[12:24, 16:48] = True
    assert np.array_equal(object_mask(sample.segmentations[0], sample.size, ""), expected)
    with pytest.raises(InputError, match=r"a\.txt: line 1 \(red\) is a box; masks need polygons"):
        _open(yolo(), "polygons")


@pytest.mark.parametrize("layout", ["export", "named", "list", "absolute"])
def test_the_ways_in_which_data_yaml_names_its_images(yolo: Write, layout: str) -> None:
    folder = yolo()
    content = json.loads((folder / "data.yaml").read_text())
    if layout == "export":  # train/images and train/labels, written as if the file lay in a folder of its own
        for split, name in (("train", "train"), ("val", "valid")):
            (folder / name).mkdir()
            (folder / "images" / split).rename(folder / name / "images")
            (folder / "labels" / split).rename(folder / name / "labels")
            content[split] = f"../{name}/images"
    elif layout == "named":
        content["names"] = {0: "white", 1: "red"}
        content["path"] = "/absent/on/this/machine"
    elif layout == "list":
        (folder / "train.txt").write_text("./images/train/a.jpg\n./images/train/b.jpg\n")
        content["train"] = "train.txt"
    else:
        content["path"] = str(folder)
    text = json.dumps(content)
    (folder / "data.yaml").write_text(text.replace('"0"', "0").replace('"1"', "1"))
    data = _open(folder)
    assert [len(data.splits[split]) for split in ("train", "val")] == [2, 1]
    assert sum(len(sample.boxes) for sample in data.splits["train"]) == 3


def test_an_image_without_a_file_has_no_objects(yolo: Write) -> None:
    folder = yolo()
    (folder / "labels/train/a.txt").unlink()
    assert [len(sample.boxes) for sample in _open(folder).splits["train"]] == [0, 2]


def _label(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "labels/train/a.txt").write_text(text)


def _yaml(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "data.yaml").write_text(text)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_label("2 .5 .5 .1 .1"), r"a\.txt: line 1: the class is 2; classes are numbered from 0 to 1 \(red\)"),
        (_label("-1 .5 .5 .1 .1"), r"a\.txt: line 1: the class is -1"),
        (_label("0.5 .5 .5 .1 .1"), r"a\.txt: line 1: the class is 0\.5"),
        (_label("0 .5 .5 .1"), r"a\.txt: line 1: 3 numbers after the class"),
        (_label("0 .1 .1 .2 .2 .3 .3 .4"), r"a\.txt: line 1: 7 numbers after the class"),
        (_label("\n0 .5 .5 x .1"), r"a\.txt: line 2: .* is not made of numbers"),
        (_label("0 nan .5 .1 .1"), r"a\.txt: line 1: .* no shares of the image"),
        (_label("0 -0.5 .5 .1 .1"), r"a\.txt: line 1: .* no shares of the image"),
        (_label("0 320 240 10 10"), r"a\.txt: line 1: .* no shares of the image, 0 to 1"),
        (_yaml("names: [a, a]\ntrain: images/train"), r"data\.yaml: two classes share a name"),
        (_yaml("names: {1: a, 2: b}\ntrain: images/train"), r"data\.yaml: names has the numbers 1, 2; wanted are 0, 1"),
        (_yaml("train: images/train"), r"data\.yaml: has no names"),
        (_yaml("names: [a, b]"), r"data\.yaml: names no train images"),
        (_yaml("names: [a, b]\ntrain: images/elsewhere"), r"'images/elsewhere' is neither a folder of images"),
        (_yaml("names: [a, b"), r"data\.yaml: not readable YAML"),
        (_yaml("- a"), r"data\.yaml: wanted are"),
    ],
)
def test_what_is_wrong_is_named(yolo: Write, spoil: Callable[[Path], object], message: str) -> None:
    folder = yolo()
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        _open(folder)
    assert "\n" not in str(caught.value)


def test_links_to_images_have_their_labels_beside_the_links(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "data", CELLS, ["white", "red"])
    (tmp_path / "store").mkdir()
    for image in list((folder / "images/train").iterdir()):
        image.rename(tmp_path / "store" / image.name)
        image.symlink_to(tmp_path / "store" / image.name)
    data = open_data(DetectionData(path=str(folder)))
    assert [len(sample.boxes) for sample in data.splits["train"]] == [1, 2]


def test_key_points_are_refused_by_name(tmp_path: Path) -> None:
    for name, more in (("shape", {"kpt_shape": [17, 3]}), ("task", {"task": "pose"})):
        folder = write_yolo(tmp_path / name, CELLS, ["white", "red"])
        content = json.loads((folder / "data.yaml").read_text())
        (folder / "data.yaml").write_text(json.dumps(content | more))
        with pytest.raises(InputError, match=r"data\.yaml: describes key points, which no head here learns"):
            _open(folder)


@pytest.mark.parametrize("line", ["0 .3 .4 .5 .4 .5 .6 .3 .6 .3 .4", "0 .1 .1 .9 .2 .8 .9 .5 .95 .2 .8"])
def test_polygons_are_not_taken_for_key_points(line: str, tmp_path: Path) -> None:
    """A closed ring, as shapely writes them, and one with five corners, a line in each of ten files."""
    folder = write_yolo(tmp_path, {"train": {f"a{k}": [] for k in range(10)}, "val": {"v": []}}, ["cell"])
    for file in folder.rglob("*.txt"):
        file.write_text(f"{line}\n")
    assert len(_open(folder).splits["train"]) == 10


def test_the_val_split_stays_where_the_data_moves(tmp_path: Path) -> None:
    """data.yaml lies apart from its images, and names them by their whole path."""
    found = []
    for place in ("one", "another/place"):
        images = {"train": {f"a{k:02}": [("cell", 4, 6, 20, 22)] for k in range(20)}}
        folder = write_yolo(tmp_path / place / "cells", images, ["cell"])
        (folder / "data.yaml").unlink()
        apart = tmp_path / place / "apart"
        apart.mkdir()
        (apart / "data.yaml").write_text(f"names: [cell]\ntrain: {folder}/images/train\n")
        data = _open(apart)
        found.append({split: list(samples.names) for split, samples in data.splits.items()})
    assert found[0] == found[1]
    assert len(found[0]["val"]) == 4


def test_two_descriptions_are_named(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path, CELLS, ["white", "red"])
    text = (folder / "data.yaml").read_text()
    (folder / "data.yaml").unlink()
    for name in ("one.yaml", "two.yaml"):
        (folder / name).write_text(text)
    with pytest.raises(InputError, match=r"one\.yaml and two\.yaml both describe a YOLO data set"):
        _open(folder)
