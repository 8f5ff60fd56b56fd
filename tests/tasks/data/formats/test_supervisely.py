"""Supervisely's objects and projects."""

import json
from pathlib import Path

from tasks.data import Findings, object_mask
from tests.tasks.data.formats import tool_layouts
from tests.tasks.data.formats.examples import save, write
from tests.tasks.data.formats.tool_folders import (
    IMAGE,
    SIZE,
    SQUARE,
    first_of,
    open_folder,
    write_supervisely,
)


def test_objects_of_supervisely(tmp_path: Path) -> None:
    """A rectangle's last pixels belong to it; polygons may have holes; older files have no types."""
    ring = tool_layouts.a_supervisely_object("cell", SQUARE, "polygon")
    ring["points"]["interior"] = [[[12, 12], [20, 12], [20, 20], [12, 20]]]
    old = tool_layouts.a_supervisely_object("cell", (1, 1, 5, 5), "rectangle")
    del old["geometryType"]
    write_supervisely(tmp_path, ring, old)
    sample = first_of(open_folder(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes.tolist() == [list(SQUARE), [1, 1, 5, 5]]
    assert sample.areas.tolist() == [256 - 64, 16]
    assert object_mask(sample.segmentations[0], SIZE, "").sum() == 256 - 64


def test_supervisely_of_older_projects(tmp_path: Path) -> None:
    """Tags as text, points of other forms, origins as floats, names without the image's suffix, an empty dataset."""
    bitmap = tool_layouts.a_supervisely_object("cell", SQUARE, "bitmap")
    bitmap["bitmap"]["origin"] = [8.0, 8.0]
    bitmap["points"] = None
    cuboid = {"classTitle": "cell", "geometryType": "cuboid", "points": [[1, 2]]}
    for split, name in (("train", "a_10"), ("val", "a_11")):
        save(tmp_path / "ds" / "img" / f"{name}.jpg", IMAGE.pixels())
        content = json.loads(tool_layouts.a_supervisely_file([bitmap, cuboid])) | {"tags": [split]}
        write(tmp_path / "ds" / "ann" / f"{name}.png.json", json.dumps(content))
    write(tmp_path / "empty" / "ann" / "x.jpg.json", tool_layouts.a_supervisely_file([]))
    (tmp_path / "empty" / "img").mkdir()
    data = open_folder(tmp_path, "boxes")
    assert {split: [one.boxes.tolist() for one in samples] for split, samples in data.splits.items()} == {
        "train": [[list(SQUARE)]],
        "val": [[list(SQUARE)]],
    }
    assert len(data.dropped) == 2
