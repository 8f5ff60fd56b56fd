"""Mask folders in the common layouts; what is wrong with one is a line that names the file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backbones import InputError
from tasks.config import SegmentationData
from tasks.data.dataset.splits import DataSet
from tasks.data.formats.opening import open_data
from tasks.data.formats.shapes import ShapeMask, ShapesImage
from tasks.data.masks.labels import IGNORE
from tasks.data.masks.samples import MaskedSample
from tasks.segmentation.transforms import SegmentationTransform


def _open(folder: Path) -> DataSet[MaskedSample]:
    return open_data(SegmentationData(path=str(folder)), "masks")


def _write(folder: Path, layout: str, masks: dict[str, dict[str, Any]], size: tuple[int, int] = (6, 4)) -> Path:
    """Images and masks; a mask is an array, or a Pillow image."""
    for split, named in masks.items():
        images, labels = (folder / part.format(split=split) for part in layout.split("+"))
        images.mkdir(parents=True, exist_ok=True)
        labels.mkdir(parents=True, exist_ok=True)
        for name, mask in named.items():
            Image.new("RGB", size).save(images / f"{name}.png")
            image = mask if isinstance(mask, Image.Image) else Image.fromarray(np.asarray(mask))
            image.save(labels / f"{name}.png")
    return folder


def _mask(*values: int, dtype: type = np.uint8) -> np.ndarray[Any, Any]:
    return np.resize(np.array(values, dtype), (4, 6))


@pytest.mark.parametrize(
    "layout", ["{split}/images+{split}/masks", "images/{split}+masks/{split}", "{split}+{split}annot"]
)
def test_layouts(tmp_path: Path, layout: str) -> None:
    data = _open(_write(tmp_path, layout, {"train": {"b": _mask(0, 1), "a": _mask(1)}, "val": {"c": _mask(0, 1, 1)}}))
    assert data.classes == ("0", "1")
    assert [sample.name for sample in data.splits["train"]] == ["a.png", "b.png"]
    assert np.array_equal(data.splits["val"][0].mask.labels(), _mask(0, 1, 1))
    assert data.classes_without_objects("train") == []


def test_voc(tmp_path: Path) -> None:
    palette = Image.fromarray(_mask(0, 15, 255))
    palette = palette.convert("P")
    palette.putdata(_mask(0, 15, 255).flatten().tolist())
    _write(tmp_path, "JPEGImages+SegmentationClass", {"all": {"a": palette, "b": palette}})
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\n")
    data = _open(tmp_path)
    assert data.classes == ("0", "15")  # 255 is ignored
    assert np.array_equal(data.splits["train"][0].mask.labels(), _mask(0, 1, IGNORE))


def test_names_ignored_ones_and_colours_come_from_classes_txt(tmp_path: Path) -> None:
    layout = "{split}+{split}annot"
    _write(tmp_path / "grey", layout, {"train": {"a": _mask(0, 1, 2)}, "val": {"b": _mask(1)}})
    (tmp_path / "grey/classes.txt").write_text("sky\nunlabelled\nroad\n")
    data = _open(tmp_path / "grey")
    assert data.classes == ("sky", "road")
    assert np.array_equal(data.splits["train"][0].mask.labels(), _mask(0, IGNORE, 1))

    coloured = Image.new("RGB", (6, 4), (10, 20, 30))
    coloured.putpixel((0, 0), (200, 0, 0))
    _write(tmp_path / "colour", layout, {"train": {"a": coloured}, "val": {"b": coloured}})
    with pytest.raises(InputError, match=r"a\.png: the mask is in colours; name them in classes\.txt"):
        _open(tmp_path / "colour")
    (tmp_path / "colour/classes.txt").write_text("cell wall 200 0 0\nground 10 20 30\n")
    data = _open(tmp_path / "colour")
    assert data.classes == ("cell wall", "ground")
    labels = data.splits["train"][0].mask.labels()
    assert labels[0, 0] == 0
    assert (labels.flatten()[1:] == 1).all()
    (tmp_path / "colour/classes.txt").write_text("ground 10 20 30\n")
    with pytest.raises(InputError, match=r"1 pixels have the colour \(200, 0, 0\), which classes\.txt does not name"):
        _open(tmp_path / "colour").classes_without_objects("train")


def test_sixteen_bit_and_binary_masks(tmp_path: Path) -> None:
    layout = "{split}/images+{split}/masks"
    deep = _mask(0, 300, dtype=np.uint16)
    data = _open(_write(tmp_path / "deep", layout, {"train": {"a": deep}, "val": {"b": deep}}))
    assert data.classes == ("0", "300")
    data = _open(_write(tmp_path / "binary", layout, {"train": {"a": _mask(0, 255)}, "val": {"b": _mask(0, 255)}}))
    assert data.classes == ("0", "255")


def test_one_folder_of_each_is_split(tmp_path: Path) -> None:
    _write(tmp_path, "images+masks", {"all": {f"p{number}": _mask(0, 1) for number in range(10)}})
    data = _open(tmp_path)
    assert [len(data.splits[split]) for split in ("train", "val")] == [8, 2]
    assert not set(data.splits["train"].names) & set(data.splits["val"].names)


def test_classes_and_what_is_ignored_as_given(tmp_path: Path) -> None:
    _write(tmp_path, "{split}+{split}annot", {"train": {"a": _mask(0, 1, 9)}, "val": {"b": _mask(1, 0)}})
    data = open_data(SegmentationData(path=str(tmp_path), ignore_index=9), "masks")
    assert data.classes == ("0", "1")
    assert np.array_equal(data.splits["train"][0].mask.labels(), _mask(0, 1, IGNORE))
    settings = SegmentationData(path=str(tmp_path), ignore_index=9, classes=("ground", "cell"))
    data = open_data(settings, "masks")
    assert data.classes == ("ground", "cell")
    assert np.array_equal(data.splits["train"][0].mask.labels(), _mask(0, 1, IGNORE))
    with pytest.raises(InputError, match=r"8 pixels have the value 9, which is no class"):
        open_data(SegmentationData(path=str(tmp_path), classes=("a", "b")), "masks").splits["train"].label_set()


def test_numbers_of_objects_are_no_classes(tmp_path: Path) -> None:
    many = np.arange(24 * 24, dtype=np.uint16).reshape(24, 24)
    _write(tmp_path, "{split}+{split}annot", {"train": {"a": many}, "val": {"b": many}}, size=(24, 24))
    with pytest.raises(InputError, match="575 values were found in the masks, from 0 to 575: numbers of objects"):
        _open(tmp_path)


def _missing(folder: Path) -> None:
    (folder / "train/masks/a.png").unlink()


def _emptied(folder: Path) -> None:
    for path in (folder / "train/masks").iterdir():
        path.unlink()


def _resized(folder: Path) -> None:
    Image.new("L", (5, 4)).save(folder / "train/masks/a.png")


def _stray(folder: Path) -> None:
    (folder / "classes.txt").write_text("one\ntwo\n")
    Image.fromarray(_mask(0, 7)).save(folder / "train/masks/a.png")


def _two_of_a_name(folder: Path) -> None:
    Image.fromarray(_mask(0, 1)).save(folder / "train/masks/a.tif")


def _no_train(folder: Path) -> None:
    (folder / "train").rename(folder / "test")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_missing, r"train/images/a\.png: has no mask in .*train/masks"),
        (_emptied, "train/masks: the mask folder is empty"),
        (_resized, r"a\.png: is 5x4 pixels, its image .*a\.png 6x4"),
        (_stray, r"a\.png: 12 pixels have the value 7, which is no class \(classes have 0\.\.1, ignored are 255\)"),
        (_two_of_a_name, r"a\.png and a\.tif: two files of one name"),
        (_no_train, r"has no images with masks to train on \(train\)"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    masks = {"train": {"a": _mask(0, 1), "b": _mask(0)}, "val": {"c": _mask(1)}}
    _write(tmp_path, "{split}/images+{split}/masks", masks)
    spoil(tmp_path)
    with pytest.raises(InputError, match=message):
        _open(tmp_path).classes_without_objects("train")


def test_a_class_that_train_has_nothing_of(tmp_path: Path) -> None:
    data = _open(_write(tmp_path, "{split}+{split}annot", {"train": {"a": _mask(0, 1)}, "val": {"b": _mask(0, 3)}}))
    assert data.classes_without_objects("train") == ["3"]


def test_the_real_sets(shared: Callable[[str], Path]) -> None:
    camvid = _open(shared("camvid"))
    assert {split: len(samples) for split, samples in camvid.splits.items()} == {"train": 367, "val": 101, "test": 233}
    assert len(camvid.classes) == 11
    assert "unlabelled" not in camvid.classes
    nuclei = _open(shared("dsb2018"))
    assert {split: len(samples) for split, samples in nuclei.splits.items()} == {"train": 532, "val": 132}
    assert nuclei.classes == ("0", "1")


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.sampled_from(["crop", "resize"]),
)
def test_crops_keep_image_and_mask_in_step(height: int, width: int, seed: int, balanced: bool, fit: str) -> None:
    """The image's red is the label: it still is after any crop, and what was added is ignored."""
    mask = np.random.default_rng(seed).integers(0, 4, (height, width)).astype(np.uint8)
    source = np.repeat(mask[:, :, None] * 60, 3, axis=2)
    transform = SegmentationTransform(32, True, fit, "flips", balanced)
    image, labels = transform.crop(source, mask, seed)
    assert image.shape == (32, 32, 3)
    assert labels.shape == (32, 32)
    inside = labels != IGNORE
    assert inside.sum() == min(height, 32) * min(width, 32)
    assert np.array_equal(image[..., 0][inside], labels[inside] * 60)
    again = transform.crop(source, mask, seed)
    assert np.array_equal(again[0], image)


@pytest.mark.parametrize("name", ["strong", "jitter"])
def test_what_augmentation_brings_in_from_outside_is_ignored(name: str) -> None:
    """An image that is all white and all of class 1: what is not white any more is no class 0."""
    transform = SegmentationTransform(64, True, augment=name)
    outside = 0
    for seed in range(30):
        image, labels = transform.crop(np.full((64, 64, 3), 255, np.uint8), np.ones((64, 64), np.uint8), seed)
        assert image.shape == (64, 64, 3)
        assert set(np.unique(labels).tolist()) <= {1, IGNORE}
        outside += int((labels == IGNORE).sum())
    assert outside > 0
    with pytest.raises(InputError, match="makes mosaics, which are for boxes"):
        SegmentationTransform(64, True, augment="mosaic")


def test_shapes_have_masks() -> None:
    shapes = ShapesImage(0, 3, 64, 64)
    image, objects, labels = shapes.render_objects()
    mask = ShapeMask(shapes).labels()
    assert np.array_equal(mask > 0, objects > 0)
    for number, label in enumerate(labels, start=1):
        assert (mask[objects == number] == label + 1).all()
    assert image.shape[:2] == mask.shape


def test_folders_that_may_be_images_and_masks_are_named(tmp_path: Path) -> None:
    for place in ("photos_1", "ann"):
        (tmp_path / place).mkdir()
        for number in range(3):
            Image.new("L", (8, 8)).save(tmp_path / place / f"{number}.png")
    with pytest.raises(
        InputError, match="ann/ and photos_1/ hold files of the same names: if these are images and mas"
    ):
        _open(tmp_path)
