"""Defects to plant in folders of classes."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Planted = tuple[str, Callable[[Path], Any], set[str]]


def _emptied(place: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        for file in (folder / place).iterdir():
            file.unlink()

    return plant


def _renamed(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: (folder / old).rename(folder / new) and None


IN_CLASS_FOLDERS: dict[str, Planted] = {
    "a class without images": ("folders", _emptied("train/fox"), {"class-empty", "class-not-in-train"}),
    "a class without images in val": ("folders", _emptied("val/fox"), {"class-not-in-split"}),
    "a class that train lacks": ("folders", _renamed("val/fox", "val/foxes"), {"class-unknown", "class-not-in-split"}),
    "an image beside the classes": (
        "folders",
        lambda folder: shutil.copy(folder / "train/cat/0.png", folder / "train/stray.png"),
        {"image-unlabelled"},
    ),
    "an image cut short": (
        "folders",
        lambda folder: (folder / "train/cat/0.png").write_bytes((folder / "train/cat/0.png").read_bytes()[:900]),
        {"image-truncated"},
    ),
    "the same image in two classes": (
        "folders",
        lambda folder: shutil.copy(folder / "train/cat/0.png", folder / "train/dog/again.png"),
        {"image-twice", "image-two-classes"},
    ),
}
