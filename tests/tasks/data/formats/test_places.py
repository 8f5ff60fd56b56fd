"""Where images and annotations lie, said by flags where it cannot be guessed."""

import os
from pathlib import Path
from typing import Any

import pytest

from backbones import InputError
from tasks.commands import main
from tasks.config import Annotations, SettingsError
from tasks.data import DataSet, open_data
from tests.heads import data_for
from tests.tasks.data.formats import layouts
from tests.tasks.data.formats.examples import CLASSES, COUNTS
from tests.tasks.data.formats.layouts import LAYOUTS


def _open(kind: Annotations = "boxes", **places: Any) -> DataSet[Any]:
    return open_data(data_for(kind, **{name: str(value) for name, value in places.items()}), kind)


def _counts(data: DataSet[Any]) -> dict[str, int]:
    return {split: len(samples) for split, samples in data.splits.items()}


@pytest.mark.parametrize("name", ["voc", "coco", "masks"])
def test_each_split_has_its_places(name: str, tmp_path: Path) -> None:
    """In folders of names that mean nothing, beside others' annotations."""
    if name == "voc":
        layouts._voc(tmp_path, "a1/{split}", "b2/{split}")
    elif name == "coco":
        layouts.coco_of_2017(tmp_path)
    else:
        layouts._masks(tmp_path, "a1/{split}", "b2/{split}")
    places: dict[str, Any] = {}
    for split, prefix in (("train", ""), ("val", "val_"), ("test", "test_")):
        images, annotations = tmp_path / f"a1/{split}", tmp_path / f"b2/{split}"
        if name == "coco":
            images, annotations = tmp_path / f"{split}2017", tmp_path / f"annotations/instances_{split}2017.json"
        places |= {f"{prefix}images": images, f"{prefix}annotations": annotations}
    kind: Annotations = "masks" if name == "masks" else "boxes"
    data = _open(kind, **places)
    assert _counts(data) == COUNTS
    if kind == "boxes":
        assert data.classes == CLASSES
        assert {sample.name.rpartition("/")[2][0] for sample in data.splits["val"]} == {"b"}
    first = data.splits["train"][0]
    assert first.read().shape == (48, 64, 3)


def test_annotations_of_one_file_among_several(tmp_path: Path) -> None:
    layouts.coco_train_json_in_the_folder(tmp_path)
    data = _open(path=tmp_path, annotations=tmp_path / "train.json")
    assert _counts(data) == {"train": 6, "val": 2}  # a fifth of train
    assert {sample.name.rpartition("/")[2][0] for samples in data.splits.values() for sample in samples} == {"a"}


def test_a_format_that_is_named_is_not_recognised(tmp_path: Path) -> None:
    layouts.objects_numbered(tmp_path)
    images, masks = tmp_path / "train/images", tmp_path / "train/instances"
    data = _open("polygons", images=images, annotations=masks, format="instances")
    assert (data.classes, sum(_counts(data).values())) == (("object",), 8)
    with pytest.raises(InputError, match=r"data\.format: 'coko' is no format of boxes; did you mean 'coco'"):
        _open(path=tmp_path, format="coko")


def test_places_that_say_too_little_are_named(tmp_path: Path) -> None:
    layouts.voc_challenge(tmp_path)
    for places, message in (
        ({"images": "a"}, r"data\.images: give data\.annotations too"),
        ({"annotations": "a"}, r"data\.annotations: give data\.images too, or data\.path"),
        ({"path": tmp_path, "val_images": "a"}, r"data\.val_images: give data\.val_annotations too"),
        ({"path": tmp_path, "val_annotations": "a"}, r"data\.val_annotations: give data\.val_images too"),
        ({"val_images": "a", "val_annotations": "b"}, r"data\.val_annotations: give data\.annotations too"),
    ):
        with pytest.raises(SettingsError, match=message):
            _open(**places)
    with pytest.raises(InputError, match="absent: there are no such annotations"):
        _open(path=tmp_path, annotations=tmp_path / "absent")


def test_a_run_by_its_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts._voc(tmp_path, "a1/{split}", "b2/{split}")
    small = "--image-size 64 --epochs 1 --backbone resnet18 --head.representation 8 --head.rois-per-image 8"
    places = [f"--data.images={tmp_path}/a1/train", f"--data.annotations={tmp_path}/b2/train"]
    places += [f"--data.val-images={tmp_path}/a1/val", f"--data.val-annotations={tmp_path}/b2/val"]
    run = tmp_path / "run"
    assert main(["train", *small.split(), *places, "--head.channels", "8", "--output", str(run)]) == 0
    assert "Pascal VOC: 8 train, 2 val images; 2 classes: cell, nucleus" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--workers", "0"]) == 0
    layouts.voc_challenge(tmp_path / "other")
    assert main(["evaluate", str(run), "--data", str(tmp_path / "other"), "--workers", "0"]) == 0
    assert "8 train, 2 val, 2 test images" in capsys.readouterr().out


@pytest.mark.parametrize("layout", ["coco_of_2017", "csv_as_simple_as_can_be", "labelme_beside_images"])
@pytest.mark.parametrize("absolute", [True, False])
def test_images_outside_are_refused_unless_they_are_allowed(layout: str, absolute: bool, tmp_path: Path) -> None:
    """An absolute name is looked for in the folder by its last parts first."""
    folder = tmp_path / "data"
    LAYOUTS[layout](folder)
    (image,) = folder.rglob("a_10.jpg")
    files = [path for suffix in ("csv", "json") for path in folder.rglob(f"*.{suffix}")]
    file = next(path for path in files if "a_10.jpg" in path.read_text() and "captions" not in path.name)
    elsewhere = tmp_path / "elsewhere" / "moved.jpg"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(image.read_bytes())
    name = str(elsewhere) if absolute else Path(os.path.relpath(elsewhere, file.parent)).as_posix()
    image.unlink()
    if layout.startswith("labelme"):  # else it is the one of the file's own name
        file = file.rename(file.with_name("moved_to.json"))
    file.write_text(file.read_text().replace("a_10.jpg", name))
    with pytest.raises(InputError, match=r"moved.jpg' lies outside the data folder; data.allow_outside takes it"):
        open_data(data_for("boxes", path=str(folder)), "boxes")
    data = open_data(data_for("boxes", path=str(folder), allow_outside=True), "boxes")
    samples: list[Any] = [one for split in data.splits.values() for one in split]
    (found,) = (one for one in samples if one.file.name == "moved.jpg")
    assert found.read().shape == (48, 64, 3)
    elsewhere.rename(folder / "moved.jpg")
    samples = [one for split in _open(path=folder).splits.values() for one in split]
    assert folder / "moved.jpg" in {one.file for one in samples}
