"""What opens is written as any of four formats, and read again it is what it was, but for what is said to be lost."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from backbones import InputError
from tasks.commands import main
from tasks.config import Annotations
from tasks.data import DataSet, Findings, convert, object_mask, open_data
from tests.heads import data_for
from tests.tasks.data.formats.layouts import LAYOUTS
from tests.writers import CELLS, write_coco, write_voc, write_yolo

BOXES = ("coco", "voc", "yolo")


def _open(folder: Path, kind: Annotations = "boxes") -> DataSet[Any]:
    return open_data(data_for(kind, path=str(folder)), kind)


def _objects(data: DataSet[Any]) -> dict[tuple[str, str], list[tuple[str, list[float]]]]:
    """By split and the image's stem: classes by name, boxes to a ten-thousandth of a pixel."""
    return {
        (split, Path(sample.name).stem): sorted(
            (data.classes[label], [round(value, 4) for value in box])
            for label, box in zip(sample.labels, sample.boxes.tolist(), strict=True)
        )
        for split, samples in data.splits.items()
        for sample in samples
    }


@pytest.mark.parametrize("to", BOXES)
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if not name.startswith("masks_")])
def test_boxes_are_the_same_in_every_format(layout: str, to: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path / "in")
    data, _ = convert(tmp_path / "in", tmp_path / "out", to, Findings())
    again, _ = convert(tmp_path / "out", tmp_path / "again", to, Findings())
    assert _objects(again) == _objects(data)
    assert set(again.classes) == set(data.classes)
    for split, samples in again.splits.items():
        for one, other in zip(samples, data.splits[split], strict=True):
            assert np.array_equal(one.read(), other.read())


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name.startswith("masks_")])
def test_masks_of_classes_are_the_same_as_masks_and_as_coco(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path / "in")
    expected = _open(tmp_path / "in", "masks")
    for to in ("masks", "coco"):
        convert(tmp_path / "in", tmp_path / to, to, Findings())
        again = open_data(data_for("masks", path=str(tmp_path / to)), "masks")
        assert again.classes == expected.classes
        for split in ("train", "val"):
            masks = [
                {Path(one.name).stem: one.mask.labels() for one in data.splits[split]} for data in (again, expected)
            ]
            assert masks[0].keys() == masks[1].keys()
            assert all(np.array_equal(masks[0][name], mask) for name, mask in masks[1].items())


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_boxes_go_there_and_back(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of any size and place, between pixels too."""
    folder = tmp_path_factory.mktemp("any")
    coordinate = st.floats(0, 1, allow_nan=False)
    boxes = []
    for _ in range(data.draw(st.integers(1, 5))):
        (x0, x1), (y0, y1) = (sorted((data.draw(coordinate), data.draw(coordinate))) for _ in range(2))
        if (x1 - x0) * 64 > 0.05 and (y1 - y0) * 48 > 0.05:
            boxes.append((data.draw(st.sampled_from(["red", "white"])), x0 * 64, y0 * 48, x1 * 64, y1 * 48))
    boxes = boxes or [("red", 1.0, 1.0, 9.5, 9.25)]
    images = {"train": {"a": boxes, "b": []}, "val": {"c": boxes[:1] if boxes[0][0] == "red" else []}}
    write_coco(folder / "in", images, [(1, "red"), (2, "white")])
    first = _objects(convert(folder / "in", folder / "coco", "coco", Findings())[0])
    chain = ("coco", "voc", "yolo", "coco2")
    for source, target in pairwise(chain):
        convert(folder / source, folder / target, target.removesuffix("2"), Findings())
    last = _objects(convert(folder / "coco2", folder / "end", "coco", Findings())[0])
    assert last.keys() == first.keys()
    for key, objects in first.items():
        assert [name for name, _ in last[key]] == [name for name, _ in objects]
        if objects:
            np.testing.assert_allclose([box for _, box in last[key]], [box for _, box in objects], atol=2e-4)


def test_polygons_and_crowds_stay_where_a_format_has_them_and_are_said_to_be_lost_where_not(tmp_path: Path) -> None:
    def edit(split: str, content: dict[str, Any]) -> None:
        for number, item in enumerate(content["annotations"]):
            x, y, width, height = item["bbox"]
            item["segmentation"] = [[x, y, x + width, y, x + width, y + height]]
            item["iscrowd"] = int(split == "train" and number == 0)
        if split == "train":
            runs = {"size": [48, 64], "counts": [10, 300, 48 * 64 - 310]}
            content["annotations"][0]["segmentation"] = runs

    write_coco(tmp_path / "in", CELLS, [(3, "white"), (7, "red")], edit=edit)
    data, lost = convert(tmp_path / "in", tmp_path / "coco", "coco", Findings())
    assert lost == []
    again = _open(tmp_path / "coco", "polygons")
    assert again.category_ids == {"train": (3, 7), "val": (3, 7)}
    for one, other in zip(again.splits["train"], data.splits["train"], strict=True):
        assert one.crowd.tolist() == other.crowd.tolist()
        assert one.areas.tolist() == other.areas.tolist()
        for text, before in zip(one.segmentations, other.segmentations, strict=True):
            assert np.array_equal(object_mask(text, one.size, ""), object_mask(before, one.size, ""))
    _, lost = convert(tmp_path / "in", tmp_path / "yolo", "yolo", Findings())
    assert lost == ["1 crowd regions"]
    assert _open(tmp_path / "yolo", "polygons").splits["val"][0].segmentations
    _, lost = convert(tmp_path / "in", tmp_path / "voc", "voc", Findings())
    assert lost[:2] == ["2 polygons and masks, of which the boxes are left", "1 crowd regions"] or len(lost) >= 2
    _, lost = convert(tmp_path / "in", tmp_path / "masks", "masks", Findings())
    assert lost == ["4 objects, which become the pixels of their classes"]


def test_boxes_become_filled_masks(tmp_path: Path) -> None:
    write_voc(tmp_path / "in", CELLS)
    _, lost = convert(tmp_path / "in", tmp_path / "out", "masks", Findings())
    assert "4 objects without a mask, whose boxes are filled" in lost
    data = _open(tmp_path / "out", "masks")
    assert data.classes == ("background", "red", "white")
    mask = data.splits["val"][0].mask.labels()
    assert (mask[5:35, 5:25] == 2).all()
    assert (mask == 2).sum() == 30 * 20


def test_images_of_one_name_keep_their_own_annotations(tmp_path: Path) -> None:
    """Three folders have a 1.jpg: VOC has one folder for all."""
    images = {"train": {"1": [("red", 1, 1, 20, 20)]}, "val": {"1": [("red", 5, 5, 30, 40)]}}
    write_yolo(tmp_path / "in", images, ["red"])  # type: ignore[arg-type]
    convert(tmp_path / "in", tmp_path / "out", "voc", Findings())
    assert len(list((tmp_path / "out/JPEGImages").iterdir())) == 2
    data = _open(tmp_path / "out")
    boxes = [data.splits[split][0].boxes.round(4).tolist() for split in ("train", "val")]
    assert boxes == [[[1, 1, 20, 20]], [[5, 5, 30, 40]]]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_voc(tmp_path / "in", CELLS)
    assert main(["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--to", "coco"]) == 0
    assert "written as coco, nothing lost" in capsys.readouterr().out
    for argv, message in (
        ((str(tmp_path / "in"), str(tmp_path / "out"), "--to", "coco"), "out: is not empty; give another folder"),
        ((str(tmp_path / "in"), str(tmp_path / "other"), "--to", "cooc"), "cooc"),
        ((str(tmp_path / "absent"), str(tmp_path / "other"), "--to", "coco"), "absent: there is no such data folder"),
    ):
        assert main(["convert", *argv]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "other").exists()
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png: there is no such data folder"):
        convert(tmp_path / "a.png", tmp_path / "other", "coco", Findings())
