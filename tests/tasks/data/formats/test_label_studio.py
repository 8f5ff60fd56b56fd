"""Label Studio's shapes, brushes, labels and annotators."""

import json
from pathlib import Path

import pytest

from tasks.data import Findings
from tasks.data.formats.label_studio_brush import brush_pixels
from tests.tasks.data.formats import tool_layouts
from tests.tasks.data.formats.examples import HEIGHT, WIDTH, save, write
from tests.tasks.data.formats.tool_folders import (
    IMAGE,
    SQUARE,
    boxes_in,
    first_of,
    open_folder,
    whole_image,
    write_label_studio,
)


def test_shapes_of_label_studio(tmp_path: Path) -> None:
    """A box turned about its upper left corner, an ellipse, a label beside its shape."""
    percent = {"x": 50, "y": 50, "width": 25, "height": 100 * 4 / HEIGHT}
    write_label_studio(
        tmp_path,
        percent | {"rotation": 90, "rectanglelabels": ["cell"]},
        {"x": 50, "y": 50, "radiusX": 12.5, "radiusY": 12.5, "ellipselabels": ["cell"]},
        percent | {"rotation": 0, "labels": ["cell"]},
        percent | {"rotation": 0},
    )
    sample = first_of(open_folder(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes[0] == pytest.approx([28, 24, 32, 40])
    assert sample.boxes[1] == pytest.approx([24, 18, 40, 30])
    assert sample.boxes[2] == pytest.approx([32, 24, 48, 28])
    assert len(sample.boxes) == 3


def test_a_brush_of_label_studio() -> None:
    """Packed by Label Studio's own encoder from a mask of 3 x 5 pixels, three in the second row and one below."""
    packed = [0, 0, 0, 60, 57, 27, 254, 23, 0, 183, 255, 108, 2, 56, 9, 192, 0]
    assert brush_pixels(packed, (5, 3)).astype(int).tolist() == [[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]]


def test_a_brush_is_an_object(tmp_path: Path) -> None:
    write_label_studio(tmp_path, {"format": "rle", "rle": whole_image(), "brushlabels": ["cell"]})
    sample = first_of(open_folder(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes.tolist() == [[0, 0, WIDTH, HEIGHT]]
    assert sample.areas.tolist() == [WIDTH * HEIGHT]


def test_the_latest_annotation_of_label_studio_counts(tmp_path: Path) -> None:
    write_label_studio(tmp_path, tool_layouts.a_label_studio_shape("cell", SQUARE)["value"])
    tasks = json.loads((tmp_path / "export.json").read_text())
    for task in tasks:
        old = {"result": [], "updated_at": "2026-01-01"}
        task["annotations"] = [task["annotations"][0] | {"updated_at": "2026-02-01"}, old]
    write(tmp_path / "export.json", json.dumps(tasks))
    findings = Findings()
    assert first_of(open_folder(tmp_path, "boxes", findings)).boxes.tolist() == [list(SQUARE)]
    assert any("task 0 has 2 annotations; the latest is taken" in one.message for one in findings.found)


def test_labels_of_label_studio_beside_their_shapes(tmp_path: Path) -> None:
    """A choice of a region, several labels of one, a label as text, none, a text's span, a thumbnail."""
    square = tool_layouts.a_label_studio_shape("cell", SQUARE)
    bare = {name: value for name, value in square["value"].items() if name != "rectanglelabels"}
    result = [
        {**square, "id": "a", "value": bare},
        {**square, "id": "a", "type": "choices", "value": {**bare, "choices": ["dark"]}},
        {**square, "id": "b", "value": {**bare, "rectanglelabels": ["cell", "dark"]}},
        {**square, "id": "c", "value": {**bare, "rectanglelabels": "cell"}},
        {**square, "id": "d", "value": bare},
        {"id": "e", "type": "labels", "value": {"start": 0, "end": 4, "labels": ["word"]}},
    ]
    for name in ("a_10", "a_11"):
        save(tmp_path / f"{name}.jpg", IMAGE.pixels())
    tasks = [
        {"id": k, "data": {"image": [f"{name}.jpg"], "thumb": "t.jpg"}, "annotations": [{"result": result}]}
        for k, name in enumerate(("a_10", "a_11"))
    ]
    write(tmp_path / "export.json", json.dumps(tasks))
    write(tmp_path / "notes.json", "[1, 2]")
    data = open_folder(tmp_path, "boxes")
    names = sorted(data.classes[label] for label in first_of(data).labels)
    assert names == ["cell", "cell", "dark", "dark"]
    assert sum("has no label" in line for line in data.dropped) == 2


def test_json_min_of_several_annotators_and_without_a_shape(tmp_path: Path) -> None:
    for name in ("a_10", "a_11", "a_12"):
        save(tmp_path / f"{name}.jpg", IMAGE.pixels())
    flat = tool_layouts.a_label_studio_shape("cell", SQUARE)
    flat = {**flat, **flat.pop("value")}
    lines = [
        {"id": 1, "image": "a_10.jpg", "annotation_id": 1, "label": [flat], "updated_at": "2026-01-02"},
        {"id": 1, "image": "a_10.jpg", "annotation_id": 2, "updated_at": "2026-01-01"},
        {"id": 2, "image": "a_11.jpg", "annotation_id": 3, "updated_at": "2026-01-01"},
        {"id": 3, "image": "a_12.jpg"},
    ]
    write(tmp_path / "export.json", json.dumps(lines))
    assert boxes_in(tmp_path) == {"a_10.jpg": [list(SQUARE)], "a_11.jpg": []}
