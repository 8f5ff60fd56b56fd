"""Classes chosen and renamed when they are read: as if the files had been edited by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backbones import InputError
from tasks.config import Annotations, SettingsError
from tasks.data import DataSet, open_data
from tests.heads import data_for
from tests.tasks.data.formats.layouts import LAYOUTS, coco_of_2017, masks_images_and_masks, voc_challenge

NAMES = {"cell": "thing", "nucleus": "core"}


def _open(folder: Path, kind: Annotations = "boxes", **options: Any) -> DataSet[Any]:
    return open_data(data_for(kind, path=str(folder), **options), kind)


def _same(found: DataSet[Any], expected: DataSet[Any]) -> bool:
    assert found.classes == expected.classes
    assert found.category_ids == expected.category_ids
    for split, samples in expected.splits.items():
        for one, other in zip(found.splits[split], samples, strict=True):
            assert one.name == other.name
            for field in ("boxes", "labels", "areas", "crowd"):
                np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    return True


@pytest.mark.parametrize("layout", ["voc_challenge", "coco_of_2017", "yolo_images_and_labels"])
def test_renamed_is_as_edited_by_hand(layout: str, tmp_path: Path) -> None:
    """VOC's classes come in alphabetical order, core before thing; the others' keep their places."""
    for name in ("plain", "edited"):
        LAYOUTS[layout](tmp_path / name)
    for file in [*(tmp_path / "edited").rglob("*.xml"), *(tmp_path / "edited").rglob("*.json")]:
        file.write_text(file.read_text().replace(">cell<", ">thing<").replace(">nucleus<", ">core<"))
        file.write_text(file.read_text().replace('"cell"', '"thing"').replace('"nucleus"', '"core"'))
    for file in (tmp_path / "edited").rglob("data.yaml"):
        file.write_text(file.read_text().replace("cell", "thing").replace("nucleus", "core"))
    assert _same(_open(tmp_path / "plain", rename="cell=thing,nucleus=core"), _open(tmp_path / "edited"))


def test_kept_is_as_edited_by_hand(tmp_path: Path) -> None:
    coco_of_2017(tmp_path / "plain")
    coco_of_2017(tmp_path / "edited")
    for file in (tmp_path / "edited/annotations").glob("instances_*.json"):
        content = json.loads(file.read_text())
        content["categories"] = [item for item in content["categories"] if item["name"] == "nucleus"]
        left = [item for item in content["annotations"] if item["category_id"] == 4]
        file.write_text(json.dumps(content | {"annotations": left}))
    assert _same(_open(tmp_path / "plain", keep=("nucleus",)), _open(tmp_path / "edited"))


def test_classes_that_come_to_share_a_name_are_one(tmp_path: Path) -> None:
    coco_of_2017(tmp_path)
    data = _open(tmp_path, rename="nucleus=cell")
    assert data.classes == ("cell",)
    assert len(data.splits["train"].labels) == len(_open(tmp_path).splits["train"].labels)  # type: ignore[attr-defined]
    assert data.category_ids["train"] == (1,)


def test_pixels_of_other_classes_are_ignored(tmp_path: Path) -> None:
    masks_images_and_masks(tmp_path)
    whole, part = (_open(tmp_path, "masks", **options) for options in ({}, {"keep": ("background", "nucleus")}))
    assert part.classes == ("background", "nucleus")
    for one, other in zip(whole.splits["train"], part.splits["train"], strict=True):
        expected = np.array([0, 255, 1], np.uint8)[one.mask.labels()]
        np.testing.assert_array_equal(other.mask.labels(), expected)


def test_names_that_there_are_not_are_answered_with_the_nearest(tmp_path: Path) -> None:
    voc_challenge(tmp_path)
    for options, message in (
        (
            {"keep": ("cels",)},
            r"data\.keep: there is no class 'cels'; did you mean 'cell'.*\(there are cell, nuc",
        ),
        ({"rename": "nucleos=core"}, r"data\.rename: there is no class 'nucleos'; did you mean 'nucleus'"),
        ({"keep": ("cell",), "rename": "cell=thing"}, r"data\.keep: there is no class 'cell'.*\(there are thing, nuc"),
    ):
        with pytest.raises(InputError, match=message):
            _open(tmp_path, **options)
    for text in ("cell", "cell=", "=a", "a=b=c", "a=b,,"):
        with pytest.raises(SettingsError, match=r"data\.rename: .* wanted is old=new"):
            data_for(path=str(tmp_path), rename=text)
