"""LabelMe, CVAT, Label Studio and Supervisely: what their shapes become, and what is wrong with them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
import pytest

from backbones import InputError
from tasks.data import DataSet, Findings, Sample, object_mask, open_data
from tasks.data.formats.label_studio_brush import brush_pixels
from tests.heads import data_for
from tests.tasks.data.formats import tool_layouts
from tests.tasks.data.formats.examples import CLASSES, EXAMPLES, HEIGHT, WIDTH, save, write
from tests.tasks.data.formats.layouts import LAYOUTS

SIZE = (WIDTH, HEIGHT)
IMAGE = EXAMPLES[0]
SQUARE = (8, 8, 24, 24)


def _open(folder: Path, kind: Any = "polygons", findings: Findings | None = None) -> DataSet[Sample]:
    return open_data(data_for(kind, path=str(folder), val_fraction=0.5), kind, findings=findings)


def _first(data: DataSet[Sample]) -> Sample:
    (sample, *_) = [one for samples in data.splits.values() for one in samples if one.name.startswith(IMAGE.name)]
    return sample


# One image with the given shapes, and a second one so that there is something to part into train and val.


def _labelme(folder: Path, *shapes: dict[str, Any]) -> None:
    for name in ("a_10", "a_11"):
        save(folder / f"{name}.jpg", IMAGE.pixels())
        write(folder / f"{name}.json", tool_layouts.a_labelme_file(shapes, f"{name}.jpg"))


def _cvat(folder: Path, *shapes: str) -> None:
    images = ""
    for number, name in enumerate(("a_10", "a_11")):
        save(folder / "images" / f"{name}.jpg", IMAGE.pixels())
        size = f'width="{WIDTH}" height="{HEIGHT}"'
        images += f'<image id="{number}" name="{name}.jpg" {size}>{"".join(shapes)}</image>'
    write(folder / "annotations.xml", f"<annotations><version>1.1</version>{images}</annotations>")


def _label_studio(folder: Path, *values: dict[str, Any], **more: Any) -> None:
    result = [
        {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "value": value} | more
        for value in values
    ]
    tasks = []
    for number, name in enumerate(("a_10", "a_11")):
        save(folder / f"{name}.jpg", IMAGE.pixels())
        tasks.append({"id": number, "data": {"image": f"/x/{name}.jpg"}, "annotations": [{"result": result}]})
    write(folder / "export.json", json.dumps(tasks))


def _supervisely(folder: Path, *objects: dict[str, Any]) -> None:
    for name in ("a_10", "a_11"):
        save(folder / "img" / f"{name}.jpg", IMAGE.pixels())
        write(folder / "ann" / f"{name}.jpg.json", tool_layouts.a_supervisely_file(objects))


def test_a_circle_of_labelme(tmp_path: Path) -> None:
    _labelme(tmp_path, tool_layouts.a_labelme_shape("cell", [[20, 20], [26, 28]], "circle"))
    sample = _first(_open(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes[0] == pytest.approx([10, 10, 30, 30])
    assert object_mask(sample.segmentations[0], SIZE, "").sum() == pytest.approx(np.pi * 100, rel=0.02)


def test_a_group_of_labelme_is_one_object(tmp_path: Path) -> None:
    parts = [[[2, 2], [6, 2], [6, 6], [2, 6]], [[20, 20], [26, 20], [26, 26], [20, 26]]]
    grouped = [tool_layouts.a_labelme_shape("cell", part, group_id=3) for part in parts]
    grouped.append(tool_layouts.a_labelme_shape("cell", [[4, 4]], "point", group_id=3))
    _labelme(tmp_path, *grouped)
    sample = _first(_open(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes.tolist() == [[2, 2, 26, 26]]
    assert sample.areas.tolist() == [16 + 36]
    assert object_mask(sample.segmentations[0], SIZE, "").sum() == 16 + 36


def test_shapes_of_cvat(tmp_path: Path) -> None:
    """A box turned by a right angle about its center; run lengths row by row that begin with what is outside."""
    _cvat(
        tmp_path,
        '<box label="cell" xtl="10" ytl="10" xbr="30" ybr="14" rotation="90"/>',
        '<ellipse label="cell" cx="20" cy="20" rx="8" ry="4" rotation="90"/>',
        '<mask label="cell" rle="1, 2, 2, 1" left="4" top="5" width="3" height="2"/>',
    )
    sample = _first(_open(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes[0] == pytest.approx([18, 2, 22, 22])
    assert sample.boxes[1] == pytest.approx([16, 12, 24, 28])
    pixels = object_mask(sample.segmentations[2], SIZE, "")
    assert np.argwhere(pixels).tolist() == [[5, 5], [5, 6], [6, 6]]


def test_shapes_of_label_studio(tmp_path: Path) -> None:
    """A box turned about its upper left corner, an ellipse, a label beside its shape."""
    percent = {"x": 50, "y": 50, "width": 25, "height": 100 * 4 / HEIGHT}
    _label_studio(
        tmp_path,
        percent | {"rotation": 90, "rectanglelabels": ["cell"]},
        {"x": 50, "y": 50, "radiusX": 12.5, "radiusY": 12.5, "ellipselabels": ["cell"]},
        percent | {"rotation": 0, "labels": ["cell"]},
        percent | {"rotation": 0},
    )
    sample = _first(_open(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes[0] == pytest.approx([28, 24, 32, 40])
    assert sample.boxes[1] == pytest.approx([24, 18, 40, 30])
    assert sample.boxes[2] == pytest.approx([32, 24, 48, 28])
    assert len(sample.boxes) == 3


def test_a_brush_of_label_studio() -> None:
    """Packed by Label Studio's own encoder from a mask of 3 x 5 pixels, three in the second row and one below."""
    packed = [0, 0, 0, 60, 57, 27, 254, 23, 0, 183, 255, 108, 2, 56, 9, 192, 0]
    assert brush_pixels(packed, (5, 3)).astype(int).tolist() == [[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]]


def test_a_brush_is_an_object(tmp_path: Path) -> None:
    _label_studio(tmp_path, {"format": "rle", "rle": _whole_image(), "brushlabels": ["cell"]})
    sample = _first(_open(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes.tolist() == [[0, 0, WIDTH, HEIGHT]]
    assert sample.areas.tolist() == [WIDTH * HEIGHT]


def _whole_image() -> list[int]:
    """One run of 255 over all values: 32 bits of their number, 8 bits a value, lengths of 16 bits, one run."""
    count = WIDTH * HEIGHT * 4
    bits = f"{count:032b}" + f"{7:05b}" + f"{15:04b}" * 4 + "1" + "00" + f"{count - 1:016b}" + f"{255:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


def test_the_latest_annotation_of_label_studio_counts(tmp_path: Path) -> None:
    _label_studio(tmp_path, tool_layouts.a_label_studio_shape("cell", SQUARE)["value"])
    tasks = json.loads((tmp_path / "export.json").read_text())
    for task in tasks:
        old = {"result": [], "updated_at": "2026-01-01"}
        task["annotations"] = [task["annotations"][0] | {"updated_at": "2026-02-01"}, old]
    write(tmp_path / "export.json", json.dumps(tasks))
    findings = Findings()
    assert _first(_open(tmp_path, "boxes", findings)).boxes.tolist() == [list(SQUARE)]
    assert any("task 0 has 2 annotations; the latest is taken" in one.message for one in findings.found)


def test_objects_of_supervisely(tmp_path: Path) -> None:
    """A rectangle's last pixels belong to it; polygons may have holes; older files have no types."""
    ring = tool_layouts.a_supervisely_object("cell", SQUARE, "polygon")
    ring["points"]["interior"] = [[[12, 12], [20, 12], [20, 20], [12, 20]]]
    old = tool_layouts.a_supervisely_object("cell", (1, 1, 5, 5), "rectangle")
    del old["geometryType"]
    _supervisely(tmp_path, ring, old)
    sample = _first(_open(tmp_path, findings=Findings(going_on=True)))
    assert sample.boxes.tolist() == [list(SQUARE), [1, 1, 5, 5]]
    assert sample.areas.tolist() == [256 - 64, 16]
    assert object_mask(sample.segmentations[0], SIZE, "").sum() == 256 - 64


@pytest.mark.parametrize("layout", ["labelme_splits_in_folders", "label_studio_of_local_files", "cvat_a_file_a_split"])
def test_polygons_become_masks(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    if layout != "labelme_splits_in_folders":  # some of their objects are boxes
        for path in [*tmp_path.glob("*.xml"), *tmp_path.glob("*.json")]:
            path.unlink()
        _polygons_only(tmp_path, layout)
    data: Any = open_data(data_for("masks", path=str(tmp_path)), "masks")
    assert data.classes == ("background", *CLASSES)
    for samples in data.splits.values():
        for sample in samples:
            bright = (sample.read() > 105).all(axis=2)
            assert ((sample.mask.labels() > 0) ^ bright).mean() < 0.03


def _polygons_only(folder: Path, layout: str) -> None:
    for split in ("train", "val", "test"):
        own = [one for one in EXAMPLES if one.split == split]
        if layout.startswith("cvat"):
            shapes = [
                "".join(tool_layouts._cvat_shape(label, box, "polygon") for label, box in one.objects) for one in own
            ]
            images = (
                f'<image id="{k}" name="{one.name}.png" width="{WIDTH}" height="{HEIGHT}">{text}</image>'
                for k, (one, text) in enumerate(zip(own, shapes, strict=True))
            )
            write(folder / f"{split}.xml", f"<annotations>{''.join(images)}</annotations>")
            continue
        tasks = []
        for one in own:
            result = [tool_layouts.a_label_studio_polygon(CLASSES[label], box) for label, box in one.objects]
            tasks.append({"data": {"image": f"{one.name}.jpg"}, "annotations": [{"result": result}]})
        write(folder / f"{split}.json", json.dumps(tasks))


def test_cvat_as_hotcoco_writes_it(tmp_path: Path) -> None:
    LAYOUTS["coco_instances_default"](tmp_path / "coco")
    (file,) = (tmp_path / "coco").rglob("*.json")
    coco = _open(tmp_path / "coco", "boxes")
    (tmp_path / "cvat").mkdir()
    hotcoco.COCO(str(file)).to_cvat(str(tmp_path / "cvat/annotations.xml"))
    (tmp_path / "cvat/images").symlink_to(next((tmp_path / "coco").rglob("*.jpg")).parent)
    cvat = _open(tmp_path / "cvat", "boxes")
    assert cvat.classes == coco.classes
    boxes = {one.name: one.boxes for samples in coco.splits.values() for one in samples}
    again = {one.name: one.boxes for samples in cvat.splits.values() for one in samples}
    assert boxes.keys() == again.keys()
    assert all(np.allclose(boxes[name], again[name], atol=0.01) for name in boxes)


LABELME = tool_layouts.a_labelme_shape("cell", [[8, 8], [24, 24]], "rectangle")
LABEL_STUDIO = tool_layouts.a_label_studio_shape("cell", SQUARE)["value"]
SUPERVISELY = tool_layouts.a_supervisely_object("cell", SQUARE, "rectangle")
ONE_POINT = tool_layouts.a_labelme_shape("cell", [[8, 8]], "circle")


def _replaced(file: str, text: str) -> Callable[[Path], object]:
    return lambda folder: write(folder / file, text)


def _removed(file: str) -> Callable[[Path], object]:
    return lambda folder: (folder / file).unlink()


def _images_renamed(folder: Path) -> None:
    for path in (folder / "img").iterdir():
        path.rename(path.with_name(f"x{path.name}"))


# Who writes the folder, what is done to it, and what is said then.
WRONG: list[tuple[Callable[[Path], object], Callable[[Path], object] | None, str]] = [
    (lambda f: _labelme(f, LABELME), _replaced("a_11.json", "{"), "a_11.json: not a readable LabelMe file: "),
    (
        lambda f: _labelme(f, LABELME),
        _removed("a_11.jpg"),
        r"a_11.json: its image 'a_11.jpg' is not there; put it beside the file",
    ),
    (lambda f: _labelme(f, ONE_POINT), None, r"a_10.json: shape 1 \(cell\): a circle of 1 points"),
    (_labelme, None, "no object on any of the 2 images of train; there is nothing to learn"),
    (_cvat, _replaced("annotations.xml", "<annotations>"), "annotations.xml: not a readable CVAT file"),
    (_cvat, _removed("images/a_11.jpg"), "annotations.xml: its image 'a_11.jpg' is not there"),
    (
        lambda f: _cvat(f, '<box label="cell" xtl="1" ytl="one" xbr="3" ybr="4"/>'),
        None,
        r"annotations.xml: a_10.jpg: box 1 \(cell\): ytl is 'one', not a number",
    ),
    (
        lambda f: _cvat(f, '<mask label="cell" rle="1, 2" left="4" top="5" width="3" height="2"/>'),
        None,
        "its run lengths are of 3 pixels, its box of 6",
    ),
    (
        lambda f: _label_studio(f, LABEL_STUDIO, image_rotation=90),
        None,
        "turned by 90 degrees to annotate it: turn the file so",
    ),
    (
        lambda f: _label_studio(f, {"rle": _whole_image()[:8], "brushlabels": ["cell"]}),
        None,
        r"task 0: a_10.jpg: shape 1 \(cell\): a brush that is no run lengths \(cut short\)",
    ),
    (
        lambda f: _label_studio(f, {"rle": [0, 0, 0, 60, 57, 27], "brushlabels": ["cell"]}),
        None,
        "60 values where the image has 12288",
    ),
    (
        lambda f: _supervisely(f, SUPERVISELY),
        _replaced("ann/a_11.jpg.json", '{"objects": []}'),
        "a_11.jpg.json: not a readable Supervisely annotation: Object missing required field `size`",
    ),
    (
        lambda f: _supervisely(f, SUPERVISELY),
        _removed("img/a_11.jpg"),
        "a_11.jpg.json: there is no image of this name",
    ),
    (lambda f: _supervisely(f, SUPERVISELY), _images_renamed, "looks like Supervisely, but img has no image for"),
]


@pytest.mark.parametrize(("make", "change", "message"), WRONG, ids=[message[:40] for _, _, message in WRONG])
def test_what_is_wrong_is_one_line_with_its_place(
    make: Callable[[Path], object], change: Callable[[Path], object] | None, message: str, tmp_path: Path
) -> None:
    make(tmp_path)
    if change is not None:
        change(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        _open(tmp_path, "boxes")
    assert "\n" not in str(error.value)


def test_points_and_lines_are_counted(tmp_path: Path) -> None:
    LAYOUTS["labelme_of_many_shapes"](tmp_path)
    data = _open(tmp_path)
    assert len(data.dropped) == 2 * len(EXAMPLES)
    assert re.search(r"c_10.json: shape 1 \(a_point\): a point encloses nothing", data.dropped[0])


def test_a_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    LAYOUTS["labelme_splits_in_folders"](tmp_path)
    write(
        tmp_path / "val/b_10.json",
        tool_layouts.a_labelme_file([tool_layouts.a_labelme_shape("cel", [[1, 1], [9, 9]], "rectangle")], "b_10.png"),
    )
    with pytest.raises(InputError, match="the class 'cel' does not occur in train; did you mean 'cell'"):
        _open(tmp_path, "boxes")


def _boxes(folder: Path) -> dict[str, list[list[float]]]:
    data = _open(folder, "boxes")
    return {one.name: one.boxes.round(3).tolist() for samples in data.splits.values() for one in samples}


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
    data = _open(tmp_path, "boxes")
    assert data.classes == ("1",)
    assert all(boxes == [[8, 8, 24, 24], [30, 8, 40, 24]] for boxes in _boxes(tmp_path).values())
    assert sum("has no label" in line for line in data.dropped) == 2


def test_a_two_cornered_part_of_a_group_is_left_out(tmp_path: Path) -> None:
    parts = [[[2, 2], [6, 2], [6, 6], [2, 6]], [[20, 20], [26, 20]]]
    _labelme(tmp_path, *(tool_layouts.a_labelme_shape("cell", part, group_id=3) for part in parts))
    assert _first(_open(tmp_path)).boxes.tolist() == [[2, 2, 6, 6]]


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
    data = _open(tmp_path, "boxes")
    names = sorted(data.classes[label] for label in _first(data).labels)
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
    assert _boxes(tmp_path) == {"a_10.jpg": [list(SQUARE)], "a_11.jpg": []}


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
    data = _open(tmp_path, "boxes")
    assert {split: [one.boxes.tolist() for one in samples] for split, samples in data.splits.items()} == {
        "train": [[list(SQUARE)]],
        "val": [[list(SQUARE)]],
    }
    assert len(data.dropped) == 2


def test_cvat_projects_have_the_same_names_in_their_subsets(tmp_path: Path) -> None:
    images = ""
    for subset, corner in (("Train", 8), ("Validation", 10)):
        save(tmp_path / "images" / subset / "frame_000000.png", IMAGE.pixels() // (corner - 7))
        box = f'<box label="cell" xtl="{corner}" ytl="{corner}" xbr="24" ybr="24"/>'
        size = f'width="{WIDTH}.0" height="{HEIGHT}"'
        images += f'<image id="0" name="frame_000000.png" subset="{subset}" {size}>{box}</image>'
    write(tmp_path / "annotations.xml", f"<annotations>{images}</annotations>")
    data = _open(tmp_path, "boxes")
    assert {split: samples[0].boxes[0, 0] for split, samples in data.splits.items()} == {"train": 8, "val": 10}
    tracks = "".join(f'<track label="cell" task_id="{k}"><box frame="0.0" xtl="1"/></track>' for k in (1, 2))
    write(tmp_path / "annotations.xml", f"<annotations>{tracks}</annotations>")
    with pytest.raises(InputError, match="holds videos of several tasks, whose frames have the same names"):
        _open(tmp_path, "boxes")


def test_splits_in_words_of_folders(tmp_path: Path) -> None:
    for place, name in (("train2017", "a_10"), ("val2017", "a_11"), ("test_images", "a_12")):
        save(tmp_path / place / f"{name}.jpg", IMAGE.pixels())
        shape = tool_layouts.a_labelme_shape("cell", [[8, 8], [24, 24]], "rectangle")
        write(tmp_path / place / f"{name}.json", tool_layouts.a_labelme_file([shape], f"{name}.jpg"))
    assert {split: list(samples.names) for split, samples in _open(tmp_path, "boxes").splits.items()} == {
        "train": ["a_10.jpg"],
        "val": ["a_11.jpg"],
        "test": ["a_12.jpg"],
    }


@pytest.mark.parametrize("layout", ["labelme_splits_in_folders", "voc_splits_in_folders_of_both"])
def test_val_and_valid_are_one_split(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    write(tmp_path / "valid/notes.txt", "")
    with pytest.raises(InputError, match="val/ and valid/ are both the val split; keep one"):
        _open(tmp_path, "boxes")
