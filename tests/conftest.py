"""Data for the tests: small sets written by code, and the real ones where ../shared/data is there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.writers import CELLS, Images, write_coco, write_voc, write_yolo

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """The path of something in ../shared/data; skips where it is absent."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"{path} is absent: the real data is not on this machine")
        return path

    return find


@pytest.fixture
def voc(tmp_path: Path) -> Callable[..., Path]:
    return lambda splits=CELLS, **options: write_voc(tmp_path / "voc", splits, **options)


@pytest.fixture
def coco(tmp_path: Path) -> Callable[..., Path]:
    def write(splits: dict[str, Images] = CELLS, categories: Any = ((3, "white"), (7, "red")), **options: Any) -> Path:
        return write_coco(tmp_path / "coco", splits, categories, **options)

    return write


@pytest.fixture
def yolo(tmp_path: Path) -> Callable[..., Path]:
    return lambda splits=CELLS, names=("white", "red"), **options: write_yolo(
        tmp_path / "yolo", splits, names, **options
    )
