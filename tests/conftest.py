"""Data for the tests: small sets written by code, and the real ones where ../shared/data is there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is loaded

import pytest
import torch

from tasks.training.cores import available_cores
from tests.writers import CELLS, Images, write_coco, write_voc, write_yolo

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
_MOST_PROCESSES = 8  # of tests: each takes a GB or two


def pytest_xdist_auto_num_workers() -> int:
    return min(available_cores(), _MOST_PROCESSES)


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
