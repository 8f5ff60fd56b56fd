"""LabelMe's shapes and groups, as its versions and other tools write them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from backbones import InputError
from tasks.data import Findings, object_mask
from tests.tasks.data.formats import tool_layouts
from tests.tasks.data.formats.examples import EXAMPLES, HEIGHT, WIDTH, save, write
from tests.tasks.data.formats.layouts import LAYOUTS
from tests.tasks.data.formats.tool_folders import (
    IMAGE,
    SIZE,
    boxes_in,
    first_of,
    open_folder,
    write_labelme,
)


def test_a_circle_of_labelme(tmp_path: Path) -> None:
    write_labelme(tmp_path, tool_layouts.a_labelme_shape("cell", [[20, 20], [26, 28]], "circle"))
    sample = first_of(open_folder(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes[0] == pytest.approx([10, 10, 30, 30])
    assert object_mask(sample.segmentations[0], SIZE, "").sum() == pytest.approx(np.pi * 100, rel=0.02)


def test_a_group_of_labelme_is_one_object(tmp_path: Path) -> None:
    parts = [[[2, 2], [6, 2], [6, 6], [2, 6]], [[20, 20], [26, 20], [26, 26], [20, 26]]]
    grouped = [tool_layouts.a_labelme_shape("cell", part, group_id=3) for part in parts]
    grouped.append(tool_layouts.a_labelme_shape("cell", [[4, 4]], "point", group_id=3))
    write_labelme(tmp_path, *grouped)
    sample = first_of(open_folder(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes.tolist() == [[2, 2, 26, 26]]
    assert sample.areas.tolist() == [16 + 36]
    assert object_mask(sample.segmentations[0], SIZE, "").sum() == 16 + 36


def test_a_two_cornered_part_of_a_group_is_left_out(tmp_path: Path) -> None:
    parts = [[[2, 2], [6, 2], [6, 6], [2, 6]], [[20, 20], [26, 20]]]
    write_labelme(tmp_path, *(tool_layouts.a_labelme_shape("cell", part, group_id=3) for part in parts))
    assert first_of(open_folder(tmp_path)).boxes.tolist() == [[2, 2, 6, 6]]


def test_labelme_as_older_and_other_tools_write_it(tmp_path: Path) -> None:
    """Numbers as text and as floats, labels that are numbers, groups called "", no imagePath, JSON of other kinds."""
    for name in ("a_10", "a_11"):
        save(tmp_path / f"{name}.jpg", IMAGE.pixels())
        shapes = [
            {"label": 1, "points": [[8, 8, 0], ["24", "24"]], "shape_type": "rectangle", "group_id": ""},
            {"label": 1, "points": [[30, 8], [40, 24]], "shape_type": "rectangle", "group_id": "", "score": None},
            {"label": None, "points": [[1, 1], [4, 4]], "shape_type": "rectangle"},
        ]
        content = {"shapes": shapes, "imagePath": None, "imageHeight": float(HEIGHT), "imageWidth": str(WIDTH)}
        (tmp_path / f"{name}.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    for number in range(8):
        write(tmp_path / f"{number}_map.json", '{"1": "cell"}')
    data = open_folder(tmp_path, "boxes")
    assert data.classes == ("1",)
    assert all(boxes == [[8, 8, 24, 24], [30, 8, 40, 24]] for boxes in boxes_in(tmp_path).values())
    assert sum("has no label" in line for line in data.dropped) == 2


def test_points_and_lines_are_counted(tmp_path: Path) -> None:
    LAYOUTS["labelme_of_many_shapes"](tmp_path)
    data = open_folder(tmp_path)
    assert len(data.dropped) == 2 * len(EXAMPLES)
    assert re.search(r"c_10.json: shape 1 \(a_point\): a point encloses nothing", data.dropped[0])


def test_a_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    LAYOUTS["labelme_splits_in_folders"](tmp_path)
    write(
        tmp_path / "val/b_10.json",
        tool_layouts.a_labelme_file([tool_layouts.a_labelme_shape("cel", [[1, 1], [9, 9]], "rectangle")], "b_10.png"),
    )
    with pytest.raises(InputError, match="the class 'cel' does not occur in train; did you mean 'cell'"):
        open_folder(tmp_path, "boxes")
