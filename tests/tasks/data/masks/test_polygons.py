"""Polygons into masks, and COCO files as masks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from backbones import InputError
from tasks.config import SegmentationData
from tasks.data.dataset.sample import Sample
from tasks.data.formats.opening import open_data
from tasks.data.masks.labels import IGNORE
from tasks.data.masks.polygons import object_mask
from tasks.data.masks.rasterizing import RasterizedMask

SQUARE = np.zeros((6, 8), np.bool_)
SQUARE[1:4, 2:5] = True


def _text(content: Any) -> bytes:
    return json.dumps(content).encode()


def test_polygons_and_both_run_length_encodings() -> None:
    packed = coco_mask.encode(np.asfortranarray(SQUARE, np.uint8))
    runs = [13, 3, 3, 3, 3, 3, 20]  # column by column: 2 columns of 6 and a pixel, then 3 of 3 on and 3 off, the rest
    for segmentation in (
        [[2, 1, 5, 1, 5, 4, 2, 4]],
        [[2, 1, 5, 1, 5, 3, 2, 3], [2, 3, 5, 3, 5, 4, 2, 4], [0, 0, 1, 1]],  # what has no three corners is nothing
        {"size": [6, 8], "counts": packed["counts"].decode()},
        {"size": [6, 8], "counts": runs},
    ):
        assert np.array_equal(object_mask(_text(segmentation), (8, 6), ""), SQUARE), segmentation
    for nothing in (b"", b"[]", b"null"):
        assert not object_mask(nothing, (8, 6), "").any()


def test_where_objects_overlap_the_smaller_one_is_seen() -> None:
    def square(left: int, right: int) -> bytes:
        return _text([[left, 0, right, 0, right, 6, left, 6]])

    boxes = np.array([[0, 0, 4, 6], [2, 0, 8, 6]], np.float64)
    areas = np.array([24.0, 36.0])
    for order in ([0, 1], [1, 0]):
        sample = Sample(
            name="a",
            source=Path("a.jpg"),
            size=(8, 6),
            boxes=boxes[order],
            labels=np.array(order),
            areas=areas[order],
            crowd=np.zeros(2, np.bool_),
            segmentations=tuple([square(0, 4), square(2, 8)][number] for number in order),
        )
        assert (RasterizedMask(sample).labels() == [1, 1, 1, 1, 2, 2, 2, 2]).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"size": [8, 6], "counts": [48]},
            r"here: not a segmentation \(the mask is of \[8, 6\] pixels, the image of \[6, 8\]",
        ),
        ({"counts": [48]}, "here: not a segmentation"),
        ([["a"] * 6], "here: not a segmentation"),
        ("polygon", "here: not a segmentation"),
    ],
)
def test_what_is_no_polygon_is_named(content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        object_mask(_text(content), (8, 6), "here")


def test_coco_as_masks(coco: Callable[..., Path]) -> None:
    def edit(split: str, content: dict[str, Any]) -> None:
        for item in content["annotations"]:
            x, y, width, height = item["bbox"]
            item["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]

    def crowded(split: str, content: dict[str, Any]) -> None:
        edit(split, content)
        if split == "train":
            content["annotations"][1] |= {"iscrowd": 1, "segmentation": {"size": [48, 64], "counts": [0, 48 * 64]}}

    def labels(folder: Path, *lacking: str) -> Any:
        data = open_data(SegmentationData(path=str(folder)), "masks")
        assert data.classes == ("background", "white", "red")
        assert data.classes_without_objects("train") == list(lacking)
        return data.splits["train"][1].mask.labels()  # b: red 4 6 30 40, white 32 8 60 30

    expected = np.zeros((48, 64), np.uint8)
    expected[6:40, 4:30] = 2
    expected[8:30, 32:60] = 1
    assert np.array_equal(labels(coco(edit=edit)), expected)
    expected[expected != 2] = IGNORE  # the crowd is everywhere, and an object lies on it
    assert np.array_equal(labels(coco(edit=crowded), "white"), expected)  # of which there is nothing but the crowd


def test_real_polygons_as_pycocotools_draws_them(shared: Callable[[str], Path]) -> None:
    folder = shared("coco_tiny")
    data = open_data(SegmentationData(path=str(folder)), "masks")
    path = next((folder / "annotations").glob("instances_val*.json"))
    reference = COCO()
    reference.dataset = json.loads(path.read_text())
    reference.createIndex()
    ids = {image["file_name"]: key for key, image in reference.imgs.items()}
    for sample in data.splits["val"]:
        found, union = sample.mask.labels(), np.zeros(sample.read().shape[:2], np.bool_)
        crowds = union.copy()
        for item in reference.imgToAnns[ids[sample.name]]:
            pixels = reference.annToMask(item).astype(np.bool_)
            union |= pixels
            crowds |= pixels & bool(item["iscrowd"])
        assert np.array_equal(found > 0, union)
        assert not ((found == IGNORE) & ~crowds).any()
