"""Installed is as good as a checkout: the wheel, in a folder of its own and from an empty one."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
TINY = "--data.count 4 --epochs 1 --head.channels 16 --head.representation 16"


def _run(command: Sequence[str | Path], folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _build(target: str, source: Path, folder: Path) -> Path:
    done = _run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder], source)
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel, to be laid over the present packages."""
    folder = tmp_path_factory.mktemp("site")
    command = [os.environ.get("UV", "uv"), "pip", "install", "--offline", "--no-deps", "--target", folder, wheel]
    done = _run(command, folder)
    assert done.returncode == 0, done.stderr
    return folder


def _vertebra(site: Path, folder: Path, *argv: str | Path) -> "subprocess.CompletedProcess[str]":
    return _run([sys.executable, site / "bin/vertebra", *argv], folder, PYTHONPATH=str(site))


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_recipes_types_and_augmentations_come_along(wheel: Path) -> None:
    names = set(_contents(wheel))
    assert {"backbones/py.typed", "tasks/py.typed"} <= names
    for recipe in (ROOT / "configs").rglob("*.yaml"):
        assert f"tasks/recipes/{recipe.relative_to(ROOT / 'configs').as_posix()}" in names
    assert "tasks/data/transforms/augmentations/light.yaml" in names
    assert not [name for name in names if name.startswith(("tests/", "tools/", "docs/"))]


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = _build("sdist", ROOT, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert _contents(_build("wheel", source, tmp_path / "again")) == _contents(wheel)


def test_it_trains_by_a_recipes_name_from_an_empty_folder(site: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    code = "import backbones, tasks; print(backbones.__file__, tasks.__file__)"
    where = _run([sys.executable, "-c", code], empty, PYTHONPATH=str(site)).stdout
    assert where.split() == [str(site / "backbones/__init__.py"), str(site / "tasks/__init__.py")]
    done = _vertebra(site, empty, "train", "--config", "detection/shapes", *TINY.split(), "--output", "run")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in empty.iterdir()] == ["run"]
    summary: dict[str, Any] = json.loads((empty / "run/run.json").read_text())
    assert summary["status"] == "completed"
    # Messages name the command as it was called.
    assert "tools/" not in done.stdout
    done = _vertebra(site, empty, "train", "--config", "detection/shape")
    assert done.returncode == 2
    assert "'detection/shape': neither a file nor a recipe; did you mean 'detection/shapes'" in done.stderr


def test_a_path_wins_over_a_recipe_of_its_name(site: Path, tmp_path: Path) -> None:
    (tmp_path / "detection").mkdir()
    (tmp_path / "detection/shapes").write_text("optim: {lrr: 1}\n")
    done = _vertebra(site, tmp_path, "train", "--config", "detection/shapes")
    assert done.returncode == 2
    assert "optim.lrr: adamw has no such setting" in done.stderr


@pytest.mark.slow
def test_the_whole_install_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """Some 6 GB of packages, from uv's cache or the registry."""
    uv, environment = os.environ.get("UV", "uv"), tmp_path / "environment"
    for command in (
        [uv, "venv", "--python", sys.executable, environment],
        [uv, "pip", "install", "--python", environment / "bin/python", wheel],
    ):
        done = _run(command, tmp_path)
        assert done.returncode == 0, done.stderr
    train = [environment / "bin/vertebra", "train", *TINY.split(), "--output", "run"]
    done = _run(train, tmp_path / "empty", PYTHONPATH="")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "empty/run/run.json").read_text())["status"] == "completed"
