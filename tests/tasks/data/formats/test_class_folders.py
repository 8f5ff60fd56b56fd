"""Folders of classes as people have them: read as torchvision reads them, and what is wrong is named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from backbones import InputError
from tasks.data import Reading
from tests.tasks.data.formats.labelled import message, opened, write_idx
from tests.writers import write_class_folders


@pytest.mark.parametrize(
    ("wrapped", "splits", "expected"),
    [
        ("", {"train": 6, "val": 3, "test": 2}, {"train": 16, "val": 8, "test": 6}),
        ("", {"train": 6, "valid": 3}, {"train": 16, "val": 8}),
        ("archive/animals", {"training": 6, "validation": 3}, {"train": 16, "val": 8}),
        ("", {"": 6}, {"train": 13, "val": 3}),
        ("images", {"": 6}, {"train": 13, "val": 3}),
    ],
)
def test_class_folders(wrapped: str, splits: dict[str, int], expected: dict[str, int], tmp_path: Path) -> None:
    write_class_folders(tmp_path / wrapped, splits)
    for litter in (".DS_Store", "Thumbs.db", "__MACOSX/cat/0.png"):
        (tmp_path / litter).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / litter).write_bytes(b"x")
    data = opened(tmp_path)
    assert data.classes == ("cat", "dog", "fox")
    assert {split: len(samples) for split, samples in data.splits.items()} == expected
    for split, samples in data.splits.items():
        assert list(samples.names) == sorted(samples.names), split
        assert all(f"/{data.classes[sample.label]}/" in f"/{sample.name}" for sample in samples)


def test_class_folders_are_what_image_folder_reads(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"train": 5, "val": 2}, ("10", "9", "a b", "é"))
    (tmp_path / "train/9/deeper/still").mkdir(parents=True)
    shutil.move(tmp_path / "train/9/1.png", tmp_path / "train/9/deeper/still/1.png")
    data, theirs = opened(tmp_path), ImageFolder(str(tmp_path / "train"))
    assert list(data.classes) == theirs.classes
    ours = {str(sample.file): sample.label for sample in data.splits["train"]}
    assert ours == dict(theirs.samples)


def test_a_class_may_be_called_as_a_split_or_as_a_mask(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "a", {"train": 3, "val": 2}, ("bus", "car", "train"))
    assert opened(tmp_path / "a").classes == ("bus", "car", "train")
    write_class_folders(tmp_path / "b", {"": 6}, ("bus", "car", "train"))
    assert opened(tmp_path / "b").classes == ("bus", "car", "train")
    for number, classes in enumerate((("bus", "train", "train station"), ("test tube", "test strip"))):
        write_class_folders(tmp_path / f"words{number}", {"": 6}, classes)
        assert opened(tmp_path / f"words{number}").classes == tuple(sorted(classes))
    write_class_folders(tmp_path / "c", {"train": 3, "val": 2}, ("mask", "no_mask"))
    assert opened(tmp_path / "c").classes == ("mask", "no_mask")


def test_what_are_no_class_folders_is_said(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "one", {"train": 3, "val": 2}, ("cat",))
    assert "'cat' is the only class: there is nothing to tell apart" in message(tmp_path / "one")
    write_class_folders(tmp_path / "masks", {"train": 3, "val": 2}, ("images", "masks"))
    assert "mask folders" in message(tmp_path / "masks")
    assert "and no labels" in message(tmp_path / "masks")
    write_class_folders(tmp_path / "splits", {"": 3}, ("train", "val"))
    assert "train, val are named as splits, not as classes" in message(tmp_path / "splits")
    write_class_folders(tmp_path / "test", {"test": 3, "val": 2})
    assert "has test and val alone; wanted is train/" in message(tmp_path / "test")
    write_class_folders(tmp_path / "beside", {"": 4})
    for image in (tmp_path / "beside").rglob("*.png"):
        image.with_suffix(".json").write_text("{}")
    assert "if the folders are classes all the same: --data.format folders" in message(tmp_path / "beside")
    assert opened(tmp_path / "beside", format="folders").classes == ("cat", "dog", "fox")


def test_bad_class_folders_are_named(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"train": 3, "val": 2})
    (tmp_path / "train/zebra").mkdir()
    assert message(tmp_path).startswith(f"{tmp_path}: the folder of the class 'zebra' has no image to train on")
    (tmp_path / "train/zebra").rmdir()
    (tmp_path / "val/fox").rename(tmp_path / "val/Fox")
    text = message(tmp_path)
    assert "the class 'Fox' of val does not occur in train; did you mean 'fox'? (train has cat, dog, fox)" in text
    shutil.rmtree(tmp_path / "val/Fox")
    (tmp_path / "val/cat/0.png").write_bytes(b"nothing")
    assert f"{tmp_path / 'val/cat/0.png'}: not a readable image" in message(tmp_path)


def test_splits_by_a_word_in_their_names(tmp_path: Path) -> None:
    """The Intel images as they are published: a folder in a folder, and images of no class."""
    for split in ("train", "test"):
        write_class_folders(tmp_path / f"seg_{split}", {f"seg_{split}": 5})
    shutil.copytree(tmp_path / "seg_test/seg_test/cat", tmp_path / "seg_pred/seg_pred")
    data = opened(tmp_path)
    assert data.classes == ("cat", "dog", "fox")
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 10, "val": 3, "test": 13}
    (finding,) = data.findings
    assert "seg_pred/seg_pred/0.png: is in no class of a split (train, test), as 5 images" in finding.message


@pytest.mark.parametrize("place", ["test", "test/images", "dev/cat"])
def test_images_of_no_split_or_class_are_said_and_left_out(place: str, tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"train": 4, "val": 2})
    shutil.copytree(tmp_path / "val/cat", tmp_path / place)
    data = opened(tmp_path)
    assert list(data.splits) == ["train", "val"]
    (finding,) = data.findings
    assert finding.check == "image-unlabelled"
    assert f"{place}/0.png: is in no class of a split" in finding.message


def test_a_folder_of_a_class_is_no_wrapper(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "a", {"cat": 4}, ("p", "q"))
    (tmp_path / "a/dog").mkdir()
    assert "'cat' is the only class" in message(tmp_path / "a")
    for place, count in (("train/cat", 4), ("train/dog", 4), ("val/cat", 2)):
        write_class_folders(tmp_path / "b" / place, {"": count}, ("p", "q"))
    assert opened(tmp_path / "b").classes == ("cat", "dog")
    assert set(opened(tmp_path / "b").splits["val"].labels.tolist()) == {0}


def test_an_accent_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"train": 4}, ("b", "\u00e9t\u00e9"))
    write_class_folders(tmp_path, {"val": 2}, ("b", "e\u0301te\u0301"))
    assert opened(tmp_path).splits["val"].labels.tolist() == [0, 0, 1, 1]


def test_images_of_any_channels_become_those_that_are_wanted(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"train": 3, "val": 2})
    for number, mode in enumerate(("L", "RGBA", "P")):
        Image.open(tmp_path / f"train/cat/{number}.png").convert(mode).save(tmp_path / f"train/cat/{number}.png")
    samples = opened(tmp_path).splits["train"]
    assert {sample.read().shape for sample in samples} == {(48, 64, 3)}
    assert {sample.read(Reading(1)).shape for sample in samples} == {(48, 64, 1)}
    with pytest.raises(InputError, match=r"train/cat/0\.png.*channels"):
        samples[0].read(Reading(4))


def test_folders_are_merged_and_chosen_from(tmp_path: Path) -> None:
    first = write_class_folders(tmp_path / "a", {"train": 4, "val": 2}, ("cat", "dog"))
    second = write_class_folders(tmp_path / "b", {"train": 3, "val": 2}, ("cat", "fox"))
    third = write_idx(tmp_path / "c", {"train": 20}, classes=2)
    fourth = write_idx(tmp_path / "d", {"train": 20}, classes=2)
    data = opened(first, also=(str(second),))
    assert data.classes == ("cat", "dog", "fox")
    assert not data.findings
    assert np.bincount(data.splits["train"].labels).tolist() == [7, 2, 2]
    for sample in data.splits["train"]:
        assert data.classes[sample.label] in str(sample.file)
    kept = opened(first, also=(str(second),), rename="dog=pet,fox=pet")
    assert np.bincount(kept.splits["train"].labels).tolist() == [7, 4]
    assert len(opened(first, also=(str(second),), keep=("dog", "fox")).splits["train"]) == 4
    assert len(opened(third, also=(str(fourth),)).splits["train"]) == 32
    assert len(opened(first, also=(str(third),)).splits["train"]) == 26
