"""Augmentations that change what an image is are refused before a training, by name."""

from pathlib import Path

import numpy as np
import pytest

from backbones import InputError
from tasks.commands.train import main
from tasks.data import try_augmentation
from tasks.data.transforms.augmentation import list_augmentations
from tests.writers import CELLS, write_voc

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def _try(folder: Path, text: str) -> None:
    (folder / "mine.yaml").write_text(text)
    try_augmentation(str(folder / "mine.yaml"), 48, IMAGE)


@pytest.mark.parametrize("name", list_augmentations())
def test_ours_leave_images_what_they_are(name: str) -> None:
    try_augmentation(name, 48, IMAGE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- Normalize:", r"mine.yaml: Normalize makes float32 \(48, 64, 3\) of an image; wanted is uint8"),
        ("- ToFloat:", r"ToFloat makes float32 \(48, 64, 3\)"),
        ("- ToTensorV2:", r"ToTensorV2 makes uint8 \(3, 48, 64\) of an image; wanted is uint8 \(height, width, 3\)"),
        ("- ToGray: {num_output_channels: 1}", r"ToGray makes uint8 \(48, 64\)"),
        ("- OneOf:\n    - HorizontalFlip:\n    - ToFloat:\n  p: 0.01", "ToFloat makes float32"),
        ("- Sequential:\n    - HorizontalFlip:\n    - Normalize:", "Normalize makes float32"),
        (
            "- RandomCrop: {height: 100, width: 100, p: 0.1}",
            "RandomCrop fails on an image of 64x48 pixels: .*(100, 100)",
        ),
        ("- HorizontalFlip: 0.5", r"HorizontalFlip: 0.5 is no {argument: value}, such as {p: 0.5}"),
        ("- OneOf:\n    - HorizontalFlip: {chance: 1}", "HorizontalFlip: Argument.*chance"),
        ("- HorizontalFlip: {p: high}", "HorizontalFlip: p is 'high', not a probability from 0 to 1"),
        ("- HorizontalFlip: {p: true}", "HorizontalFlip: p is True, not a probability"),
        ("- OneOf:\n    - HorizontalFlip:\n  p: 2", "OneOf: p is 2, not a probability from 0 to 1"),
        ("- OneOf:\n    - HorizontalFlip:\n  chance: 1", "OneOf: .*chance"),
        ("- OneOf: 3", "wanted is a list of"),
    ],
)
def test_what_is_no_augmentation_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        _try(tmp_path, text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "- ToGray: {num_output_channels: 3}",
        "- RandomSizedBBoxSafeCrop: {height: 32, width: 32}",
        "- LongestMaxSize: {max_size: 256}\n- RandomCrop: {height: 100, width: 100}",
        "- OneOf:\n    - Sequential:\n        - GaussianBlur:\n    - CLAHE:\n  p: 0.5",
    ],
)
def test_what_leaves_images_what_they_are_is_taken(text: str, tmp_path: Path) -> None:
    _try(tmp_path, text)


def test_a_training_says_it_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_voc(tmp_path / "voc", CELLS)
    (tmp_path / "mine.yaml").write_text("- Normalize: {p: 0.1}")
    argv = ["--data", str(folder), "--data.augment", str(tmp_path / "mine.yaml"), "--backbone", "resnet18"]
    assert main([*argv, "--image-size", "64", "--output", str(tmp_path / "run")]) == 2
    assert "Normalize makes float32 (64, 85, 3) of an image" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
