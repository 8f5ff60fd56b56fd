"""Pascal VOC and COCO folders: what is read, what is dropped, what is refused."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbones import InputError
from tasks.config import DetectionData
from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.splits import DataSet, with_classes
from tasks.data.findings import Findings, Place
from tasks.data.formats.opening import open_data
from tasks.data.formats.shapes import ShapesImage
from tasks.data.loading.batch import Batch
from tasks.detection.metric import CocoMetric
from tasks.detection.results import coco_results
from tasks.detection.transforms import DetectionTransform
from tests.writers import save_image, write_coco, write_voc

Write = Callable[..., Path]


def _open(folder: Path, **options: Any) -> DataSet[Any]:
    return open_data(DetectionData(path=str(folder), **options))


def _found(data: DataSet[Any], split: str) -> dict[str, list[tuple[str, list[float]]]]:
    return {
        sample.name: [
            (data.classes[label], box.tolist()) for label, box in zip(sample.labels, sample.boxes, strict=True)
        ]
        for sample in data.splits[split]
    }


def test_voc(voc: Write) -> None:
    data = _open(voc())
    assert data.layout == "Pascal VOC"
    assert data.classes == ("red", "white")  # alphabetical
    assert _found(data, "train") == {
        "a.jpg": [("red", [10, 10, 40, 44])],
        "b.jpg": [("red", [4, 6, 30, 40]), ("white", [32, 8, 60, 30])],
    }
    assert [sample.name for sample in data.splits["train"]] == ["a.jpg", "b.jpg"]  # by file name
    assert data.splits["val"][0].areas.tolist() == [20 * 30]


def test_voc_one_based_on_request(voc: Write) -> None:
    data = _open(voc(), voc_one_based=True)
    assert _found(data, "train")["a.jpg"] == [("red", [9, 9, 40, 44])]


def test_coco_orders_classes_by_id_and_closes_gaps(coco: Write) -> None:
    data = _open(coco())
    assert data.layout == "COCO"
    assert data.classes == ("white", "red")  # ids 3 and 7
    assert _found(data, "train")["b.jpg"] == [("red", [4, 6, 30, 40]), ("white", [32, 8, 60, 30])]


def test_coco_crowds_and_areas_are_kept(coco: Write) -> None:
    def edit(split: str, content: dict[str, Any]) -> None:
        content["annotations"][0] |= {"iscrowd": 1, "area": 123.5}

    sample = _open(coco(edit=edit)).splits["train"][1]
    assert sample.crowd.tolist() == [True, False]
    assert sample.areas.tolist() == [123.5, 28 * 22]


@pytest.mark.parametrize("size", ["", "<size><width>0</width><height>0</height></size>"])
def test_a_size_that_is_not_annotated_is_the_images(voc: Write, size: str) -> None:
    folder = voc()
    path = folder / "Annotations/a.xml"
    path.write_text(re.sub("<size>.*</size>", size, path.read_text()))
    assert _found(_open(folder), "train")["a.jpg"] == [("red", [10, 10, 40, 44])]


def test_names_with_spaces_and_the_challenges_flags(voc: Write) -> None:
    folder = voc({"train": {"cell (1)": [("red", 1, 1, 9, 9)], "b": []}, "val": {"v": []}})
    (folder / "ImageSets/Main/train.txt").write_text("cell (1)\nb  -1\n")
    assert [sample.name for sample in _open(folder).splits["train"]] == ["b.jpg", "cell (1).jpg"]


def test_coco_leaves_out_what_it_does_not_know(coco: Write) -> None:
    def edit(split: str, content: dict[str, Any]) -> None:
        content["images"][0] |= {"width": None, "height": None}
        content["annotations"][0] |= {"area": None, "iscrowd": "0"}

    sample = _open(coco(edit=edit)).splits["train"][1]
    assert sample.areas.tolist() == [26 * 34, 28 * 22]
    assert not sample.crowd.any()


def test_valid_is_val(voc: Write) -> None:
    folder = voc()
    (folder / "ImageSets/Main/val.txt").rename(folder / "ImageSets/Main/valid.txt")
    assert len(_open(folder).splits["val"]) == 1


def test_an_image_without_objects_is_kept(voc: Write) -> None:
    data = _open(voc({"train": {"a": [("red", 1, 1, 9, 9)], "empty": []}, "val": {"v": []}}))
    assert [len(sample.boxes) for sample in data.splits["train"]] == [1, 0]


def test_the_real_sets(shared: Callable[[str], Path]) -> None:
    """Counts of ../shared/data/README.md."""
    bccd = _open(shared("bccd"))
    assert [len(bccd.splits[split]) for split in ("train", "val", "test")] == [205, 87, 72]
    count = Counter(bccd.classes[label] for split in bccd.splits.values() for s in split for label in s.labels)
    assert count == {"RBC": 4155 - 2, "WBC": 372, "Platelets": 361}
    assert sorted(Path(line.split(":")[0]).stem for line in bccd.dropped) == ["BloodImage_00338", "BloodImage_00343"]

    tiny = _open(shared("coco_tiny"))
    assert len(tiny.classes) == 80
    sizes = {
        split: (len(s), sum(len(x.boxes) for x in s), sum(x.crowd.sum() for x in s)) for split, s in tiny.splits.items()
    }
    assert sizes == {"train": (40, 368, 6), "val": (40, 550, 11)}


def test_useless_boxes_are_dropped_and_named(voc: Write) -> None:
    boxes = [("red", 5, 5, 5, 9), ("red", 70, 5, 90, 9), ("red", -8, -8, 20, 20), ("red", 30, 30, 20, 20)]
    data = _open(voc({"train": {"a": boxes}, "val": {"v": []}}))
    assert _found(data, "train") == {"a.jpg": [("red", [0, 0, 20, 20])]}
    assert len(data.dropped) == 3
    assert all("a.xml" in line for line in data.dropped)
    assert [line.split(": ")[1] for line in data.dropped] == [
        "object 1 (red) has no area",
        "object 2 (red) lies outside the image",
        "object 4 (red) has no area",
    ]


coordinate = st.one_of(st.floats(-100, 200), st.floats(63.999, 64.001), st.floats(20, 20.0001))


@settings(max_examples=100, deadline=None)
@given(boxes=st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=8))
def test_kept_boxes_are_inside_and_have_area(boxes: list[tuple[float, float, float, float]]) -> None:
    objects = Objects()
    for box in boxes:
        objects.add(0, box, 0)
    image = ShapesImage(0, 0, 64, 48)
    findings = Findings(going_on=True)
    place_of = lambda number: Place(f"box {number}")  # noqa: E731
    samples = build_table(["x"], [image], [(64, 48)], objects, place_of, findings=findings)
    dropped = [finding for finding in findings.found if finding.level == "dropped"]
    sample = samples[0]
    transformed = DetectionTransform(32).apply(image.render(), sample.boxes, 0).boxes
    assert len(transformed) == len(sample.boxes)
    assert len(sample.boxes) + len(dropped) == len(boxes)
    assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
    assert (sample.boxes >= 0).all()
    assert (sample.boxes[:, [0, 2]] <= 64).all()
    assert (sample.boxes[:, [1, 3]] <= 48).all()
    assert len(sample.areas) == len(sample.labels) == len(sample.crowd) == len(sample.boxes)


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_same_boxes_in_both_formats_read_the_same(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    interval = st.lists(st.integers(0, 47), min_size=2, max_size=2, unique=True).map(sorted)
    box = st.builds(
        lambda name, x, y: (name, x[0], y[0], x[1], y[1]), st.sampled_from(["red", "white"]), interval, interval
    )
    images = data.draw(st.lists(st.lists(box, max_size=4), min_size=1, max_size=3))
    splits = {"train": {f"p{i}": list(p) for i, p in enumerate(images)}, "val": {"v": []}}
    splits["train"]["z"] = [("red", 1, 1, 5, 5), ("white", 2, 2, 9, 9)]  # both classes occur
    folder = tmp_path_factory.mktemp("formats")
    voc = _open(write_voc(folder / "voc", splits))
    coco = _open(write_coco(folder / "coco", splits, [(1, "red"), (2, "white")]))
    assert voc.classes == coco.classes
    for split in ("train", "val"):
        assert _found(voc, split) == _found(coco, split)


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _edit_json(path: Path, key: str, number: int, **values: Any) -> None:
    content = json.loads(path.read_text())
    content[key][number].update(values)
    path.write_text(json.dumps(content))


def _drop_json(path: Path, key: str, number: int, field: str) -> None:
    content = json.loads(path.read_text())
    del content[key][number][field]
    path.write_text(json.dumps(content))


VOC_DEFECTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "unreadable xml": (lambda d: _write(d / "Annotations/a.xml", "<annotation"), r"a\.xml: not a readable Pascal VOC"),
    "missing xml": (lambda d: (d / "Annotations/a.xml").unlink(), r"a\.xml: missing"),
    "missing image": (lambda d: (d / "JPEGImages/a.jpg").unlink(), r"a\.jpg: missing"),
    "missing split": (lambda d: (d / "ImageSets/Main/train.txt").unlink(), r"train\.txt: missing"),
    "empty split": (lambda d: _write(d / "ImageSets/Main/train.txt", "\n"), r"train\.txt: names no image"),
    "truncated image": (
        lambda d: (d / "JPEGImages/a.jpg").write_bytes((d / "JPEGImages/a.jpg").read_bytes()[:-200]),
        r"a\.jpg: not a readable image \(.*truncated",
    ),
    "resized image": (lambda d: save_image(d / "JPEGImages/a.jpg", 128, 96), r"a\.jpg: is 128x96 .* says 64x48"),
    "list in another encoding": (
        lambda d: (d / "ImageSets/Main/train.txt").write_bytes(b"caf\xe9\n"),
        r"café\.jpg: missing, but .*train\.txt names it",
    ),
    "empty image": (lambda d: (d / "JPEGImages/a.jpg").write_bytes(b""), r"a\.jpg: not a readable image"),
    "nan": (
        lambda d: _write(d / "Annotations/a.xml", (d / "Annotations/a.xml").read_text().replace(">10<", ">nan<")),
        r"a\.xml: object 1 \(red\) has coordinates that are no numbers \(correct or remove it\): nan nan 40 44",
    ),
    "no number": (
        lambda d: _write(d / "Annotations/a.xml", (d / "Annotations/a.xml").read_text().replace(">10<", ">ten<")),
        r"a\.xml: .*xmin is 'ten', not a number",
    ),
    "class only in val": (
        lambda d: _write(d / "Annotations/c.xml", (d / "Annotations/c.xml").read_text().replace("white", "whit")),
        r"c\.xml: object 1 \(whit\): the class 'whit' does not occur in train; did you mean 'white'",
    ),
}


@pytest.mark.parametrize("defect", VOC_DEFECTS)
def test_voc_defects_are_named(voc: Write, defect: str) -> None:
    spoil, message = VOC_DEFECTS[defect]
    folder = voc()
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        _open(folder)
    assert "\n" not in str(caught.value)


TRAIN, VAL = "annotations/instances_train.json", "annotations/instances_val.json"
COCO_DEFECTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "unreadable json": (lambda d: _write(d / TRAIN, "{"), r"instances_train\.json: not readable JSON"),
    "no lists": (lambda d: _write(d / TRAIN, '{"images": []}'), r"missing required field `annotations`"),
    "missing train": (lambda d: (d / TRAIN).unlink(), "has no train split; wanted is annotations/instances_train"),
    "missing image": (lambda d: (d / "train/a.jpg").unlink(), r"a\.jpg: the image is missing"),
    "no images": (
        lambda d: shutil.rmtree(d / "train"),
        r"no folder of images for instances_train\.json",
    ),
    "annotation for an unlisted image": (
        lambda d: _edit_json(d / TRAIN, "annotations", 0, image_id=99),
        r"annotation 1 is for image 99, which is not listed",
    ),
    "unlisted category": (lambda d: _edit_json(d / TRAIN, "annotations", 0, category_id=5), "category 5"),
    "nan": (
        lambda d: _edit_json(d / TRAIN, "annotations", 0, bbox=[float("nan"), 1, 2, 3]),
        r"instances_train\.json: b\.jpg: annotation 1 has coordinates that are no numbers .*: nan 1",
    ),
    "no file name": (
        lambda d: _drop_json(d / TRAIN, "images", 1, "file_name"),
        r"missing required field `file_name` - at `\$\.images\[1\]`",
    ),
    "no text": (
        lambda d: _edit_json(d / TRAIN, "images", 0, file_name=None),
        r"Expected `str`, got `null` - at `\$\.images\[0\]\.file_name`",
    ),
    "no bbox": (
        lambda d: _edit_json(d / TRAIN, "annotations", 0, bbox=[1, 2]),
        r"array` of length 4.*annotations\[0\]\.bbox",
    ),
    "class only in val": (lambda d: _edit_json(d / VAL, "categories", 0, name="blue"), r"train has no class 'blue'"),
    "two of a name": (lambda d: _edit_json(d / TRAIN, "categories", 0, name="red"), "share an id or a name"),
    "two of an id": (lambda d: _edit_json(d / TRAIN, "images", 0, id=2), "two images share the id 2"),
    "two trains": (lambda d: _write(d / "annotations/instances_train2.json", "{}"), "both look like the train split"),
}


@pytest.mark.parametrize("defect", COCO_DEFECTS)
def test_coco_defects_are_named(coco: Write, defect: str) -> None:
    spoil, message = COCO_DEFECTS[defect]
    folder = coco()
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        _open(folder)
    assert "\n" not in str(caught.value)


def test_folders_without_a_layout_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such data folder"):
        _open(tmp_path / "absent")
    with pytest.raises(InputError, match="is empty"):
        _open(tmp_path)
    (tmp_path / "notes.txt").touch()
    message = r"found 1 \.txt in the folder itself: no layout of boxes that is known here; wanted are a YAML .*\(YOLO\)"
    with pytest.raises(InputError, match=message):
        _open(tmp_path)
    (tmp_path / "notes.txt").rename(tmp_path / "a.jpg")
    message = (
        r"found 1 \.jpg in the folder itself: no annotations that are known here; wanted are boxes as COCO, .* or CSV"
    )
    with pytest.raises(InputError, match=message):
        _open(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.csv", "image,x1,y1\na.png,1,2\n", "a.csv has the columns image, x1, y1 and none for xmax, ymax"),
        ("a.txt", "0 0.5 0.5 0.1 0.1\n", "YOLO's label files, but nothing names their classes: add classes.txt"),
        ("a.json", '{"images": [], "annotations": []}', 'a.json looks like COCO, but has no "categories"'),
        ("a.json", '[{"image_id": 1, "bbox": [], "score": 1}]', "a.json is a list of detections, COCO's form for"),
        ("a.xml", "<labels/>", r"wanted are .xml files beside .*\(Pascal VOC\) or an .xml file of CVAT.*\(CVAT\)"),
    ],
)
def test_what_a_folder_lacks_is_said(file: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(content)
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=message):
        _open(tmp_path)


def test_unused_classes_are_reported(coco: Write) -> None:
    data = _open(coco(categories=[(1, "red"), (2, "white"), (3, "blue")]))
    assert data.classes_without_objects() == ["blue"]


def test_labels_move_into_a_models_class_map(voc: Write) -> None:
    data = _open(voc())
    moved = with_classes(data, ("white", "blue", "red"))
    assert _found(moved, "train") == _found(data, "train")
    assert np.array_equal(moved.splits["train"][1].labels, [2, 0])
    with pytest.raises(InputError, match="not trained on the class 'white'"):
        with_classes(data, ("red",))


def test_exports_with_a_file_in_every_folder_of_images(coco: Write) -> None:
    folder = coco()
    expected = _open(folder)
    for split, name in (("train", "train"), ("val", "valid")):
        (folder / split).rename(folder / name)
        (folder / f"annotations/instances_{split}.json").rename(folder / name / "_annotations.coco.json")
    data = _open(folder)
    assert data.layout == "COCO"
    for split in ("train", "val"):
        assert _found(data, split) == _found(expected, split)


def test_a_share_of_train_is_val_where_there_is_none(voc: Write) -> None:
    images = {f"p{number:02d}": [("red", 1, 1, 9, 9)] for number in range(20)}
    folder = voc({"train": images})
    data = _open(folder, val_fraction=0.25)
    names = {split: list(samples.names) for split, samples in data.splits.items()}
    assert len(names["val"]) == 5
    assert sorted(names["train"] + names["val"]) == [f"{stem}.jpg" for stem in images]
    assert all(list(samples.names) == sorted(samples.names) for samples in data.splits.values())
    assert "no val split: 0.25 of train" in data.layout
    assert [sample.boxes.tolist() for sample in data.splits["val"]] == [[[1, 1, 9, 9]]] * 5
    assert list(_open(folder, val_fraction=0.25).splits["val"].names) == names["val"]
    assert list(_open(folder, val_fraction=0.25, split_seed=1).splits["val"].names) != names["val"]
    # An image more moves at most one of the others.
    more = voc({"train": {**images, "q": [("red", 1, 1, 9, 9)]}})
    moved = set(_open(more, val_fraction=5 / 21).splits["val"].names)
    assert len(moved & set(names["val"])) >= 4
    with pytest.raises(InputError, match=r"0\.01 of the 21 training images make none"):
        _open(more, val_fraction=0.01)


def test_each_split_keeps_the_numbers_of_its_own_file(tmp_path: Path) -> None:
    """Categories go by their names; what is written for a split has that split's numbers."""
    splits = {"train": {"a": [("red", 1, 1, 20, 20), ("white", 2, 2, 30, 30)]}, "val": {"b": [("red", 1, 1, 20, 20)]}}

    def renumber(split: str, content: dict[str, Any]) -> None:
        if split == "val":
            content["categories"] = [{"id": 70, "name": "red"}]
            content["annotations"][0]["category_id"] = 70

    folder = write_coco(tmp_path / "coco", splits, [(3, "white"), (7, "red")], edit=renumber)
    data = open_data(DetectionData(path=str(folder)))
    assert data.classes == ("white", "red")
    assert data.category_ids == {"train": (3, 7), "val": (-1, 70)}
    assert with_classes(data, ("red", "dust", "white")).category_ids == {"train": (7, -1, 3), "val": (70, -1, -1)}
    metric = CocoMetric(data.splits["val"], data.classes, "hotcoco")
    found = SimpleNamespace(
        boxes=np.array([[1.0, 1, 20, 20]]), labels=np.array([1]), scores=np.array([0.5]), masks=None
    )
    metric.update(Batch([], [], [0], ["b.jpg"], [(48, 64)]), [found])
    (result,) = coco_results(metric, data.splits["val"], data.category_ids["val"])  # type: ignore[arg-type]
    assert (result["category_id"], result["file_name"], result["image_id"]) == (70, "b.jpg", 1)
