"""Each format knows its own folders, and only those."""

import re
from pathlib import Path

import pytest

from backbones import InputError
from tasks.config import Annotations
from tasks.data.folders.tree import Tree
from tasks.data.formats.opening import all_formats, open_data
from tests.heads import data_for
from tests.tasks.doctor.clean import CLEAN

FORMATS = {one.name: one for one in all_formats()}
OWNERS = {
    "coco": "COCO",
    "voc": "Pascal VOC",
    "yolo": "YOLO",
    "masks": "mask folders",
    "labelme": "LabelMe",
    "label_studio": "Label Studio",
}


@pytest.mark.parametrize("form", OWNERS)
def test_one_format_recognises_a_folder(form: str, tmp_path: Path) -> None:
    folder = CLEAN[form](tmp_path / "data")
    assert [name for name, one in FORMATS.items() if one.recognise(Tree.of(folder))] == [OWNERS[form]]
    (tmp_path / "empty").mkdir()
    assert not any(one.recognise(Tree.of(tmp_path / "empty")) for one in FORMATS.values())


@pytest.mark.parametrize(
    ("form", "annotations", "message"),
    [
        (
            "voc",
            "polygons",
            "this is Pascal VOC, with boxes and no polygons; take COCO, Supervisely, YOLO, instance masks, LabelMe,",
        ),
        ("voc", "masks", "this is Pascal VOC, with boxes and no masks; take mask folders, COCO,"),
        ("yolo", "masks", "is a box; masks need polygons in every line"),
        (
            "masks",
            "boxes",
            "this is mask folders, with masks and no boxes; take COCO, Supervisely, YOLO, Pascal VOC,",
        ),
    ],
)
def test_what_a_format_cannot_hold_is_said(form: str, annotations: Annotations, message: str, tmp_path: Path) -> None:
    folder = CLEAN[form](tmp_path / "data")
    with pytest.raises(InputError, match=re.escape(message)):
        open_data(data_for(annotations, path=str(folder)), annotations)


def test_annotations_of_coco_are_no_masks(tmp_path: Path) -> None:
    """images/ beside annotations/ with JSON in it; the folder of masks that is empty is named."""
    folder = CLEAN["coco"](tmp_path / "data")
    (folder / "images").mkdir()
    assert open_data(data_for("masks", path=str(folder)), "masks").layout == "COCO, polygons as masks"
    for name in ("images", "masks"):
        (tmp_path / "other" / name).mkdir(parents=True)
    (tmp_path / "other/images/a.png").touch()
    with pytest.raises(InputError, match="masks: the mask folder is empty"):
        open_data(data_for("masks", path=str(tmp_path / "other")), "masks")


@pytest.mark.parametrize("name", ["./shapes", "shapes/"])
def test_a_folder_called_shapes_is_a_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="there is no such data folder"):
        open_data(data_for(path=name))
    folder = CLEAN["coco"](tmp_path / "shapes")
    assert open_data(data_for(path=name)).layout == "COCO"
    assert open_data(data_for(count=4)).layout == "built-in shapes"
    CLEAN["voc"](tmp_path / "more")
    assert len(open_data(data_for(path=str(tmp_path / "more"), also=("shapes",))).splits["train"]) == 24
    assert folder.is_dir()


def test_a_folder_of_masks_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    """Another val split would be taken from train."""
    folder = CLEAN["masks"](tmp_path / "data")
    for file in sorted((folder / "val/masks").iterdir()):
        file.rename(file.with_suffix(".raw"))
    with pytest.raises(InputError, match="masks: the mask folder is empty"):
        open_data(data_for("masks", path=str(folder)), "masks")


def test_a_folder_called_labels_that_holds_something_else_is_no_folder_of_masks(tmp_path: Path) -> None:
    folder = CLEAN["coco"](tmp_path / "data")
    (folder / "labels").mkdir()
    (folder / "labels/README.md").write_text("see annotations/")
    assert open_data(data_for("masks", path=str(folder)), "masks").layout == "COCO, polygons as masks"
