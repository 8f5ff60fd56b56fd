"""CVAT's shapes and projects."""

from pathlib import Path

import hotcoco
import numpy as np
import pytest

from backbones import InputError
from tasks.data import Findings, object_mask
from tests.tasks.data.formats.examples import HEIGHT, WIDTH, save, write
from tests.tasks.data.formats.layouts import LAYOUTS
from tests.tasks.data.formats.tool_folders import (
    IMAGE,
    SIZE,
    first_of,
    open_folder,
    write_cvat,
)


def test_shapes_of_cvat(tmp_path: Path) -> None:
    """A box turned by a right angle about its center; run lengths row by row that begin with what is outside."""
    write_cvat(
        tmp_path,
        '<box label="cell" xtl="10" ytl="10" xbr="30" ybr="14" rotation="90"/>',
        '<ellipse label="cell" cx="20" cy="20" rx="8" ry="4" rotation="90"/>',
        '<mask label="cell" rle="1, 2, 2, 1" left="4" top="5" width="3" height="2"/>',
    )
    sample = first_of(open_folder(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes[0] == pytest.approx([18, 2, 22, 22])
    assert sample.boxes[1] == pytest.approx([16, 12, 24, 28])
    pixels = object_mask(sample.segmentations[2], SIZE, "")
    assert np.argwhere(pixels).tolist() == [[5, 5], [5, 6], [6, 6]]


def test_cvat_as_hotcoco_writes_it(tmp_path: Path) -> None:
    LAYOUTS["coco_instances_default"](tmp_path / "coco")
    (file,) = (tmp_path / "coco").rglob("*.json")
    coco = open_folder(tmp_path / "coco", "boxes")
    (tmp_path / "cvat").mkdir()
    hotcoco.COCO(str(file)).to_cvat(str(tmp_path / "cvat/annotations.xml"))
    (tmp_path / "cvat/images").symlink_to(next((tmp_path / "coco").rglob("*.jpg")).parent)
    cvat = open_folder(tmp_path / "cvat", "boxes")
    assert cvat.classes == coco.classes
    boxes = {one.name: one.boxes for samples in coco.splits.values() for one in samples}
    again = {one.name: one.boxes for samples in cvat.splits.values() for one in samples}
    assert boxes.keys() == again.keys()
    assert all(np.allclose(boxes[name], again[name], atol=0.01) for name in boxes)


def test_cvat_projects_have_the_same_names_in_their_subsets(tmp_path: Path) -> None:
    images = ""
    for subset, corner in (("Train", 8), ("Validation", 10)):
        save(tmp_path / "images" / subset / "frame_000000.png", IMAGE.pixels() // (corner - 7))
        box = f'<box label="cell" xtl="{corner}" ytl="{corner}" xbr="24" ybr="24"/>'
        size = f'width="{WIDTH}.0" height="{HEIGHT}"'
        images += f'<image id="0" name="frame_000000.png" subset="{subset}" {size}>{box}</image>'
    write(tmp_path / "annotations.xml", f"<annotations>{images}</annotations>")
    data = open_folder(tmp_path, "boxes")
    assert {split: samples[0].boxes[0, 0] for split, samples in data.splits.items()} == {"train": 8, "val": 10}
    tracks = "".join(f'<track label="cell" task_id="{k}"><box frame="0.0" xtl="1"/></track>' for k in (1, 2))
    write(tmp_path / "annotations.xml", f"<annotations>{tracks}</annotations>")
    with pytest.raises(InputError, match="holds videos of several tasks, whose frames have the same names"):
        open_folder(tmp_path, "boxes")
