"""Data sets of images with a class each, as a training opens them; and idx files, written by code."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backbones import InputError
from tasks.config import SettingsError
from tasks.data import DataSet, open_data
from tests.heads import data_for

Images = NDArray[np.uint8]
RANDOM = np.random.default_rng(0)


def opened(folder: Path, **options: Any) -> DataSet[Any]:
    return open_data(data_for("labels", path=str(folder), **options), "labels")


def message(folder: Path, **options: Any) -> str:
    with pytest.raises((InputError, SettingsError)) as caught:
        opened(folder, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def idx(array: Images) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, counts: dict[str, int], classes: int = 10, zipped: bool = True, dot: str = "-") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in counts.items():
        pixels = RANDOM.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % classes).astype(np.uint8)
        for what, array in (("images", pixels), ("labels", labels)):
            content = idx(array)
            name = f"{split}-{what}{dot}idx{array.ndim}-ubyte{'.gz' if zipped else ''}"
            (folder / name).write_bytes(gzip.compress(content) if zipped else content)
    return folder
