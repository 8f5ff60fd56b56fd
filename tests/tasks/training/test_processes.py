"""Several processes train as one would with the same batches, and end as one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.multiprocessing import spawn

from tasks.commands import main as vertebra
from tasks.commands.train import main
from tasks.heads import head_named, list_heads
from tests.writers import Images, write_coco, write_voc

ROOT = Path(__file__).resolve().parents[3]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
CLASSES = ("red", "white")
IMAGES, VAL = 77, 7  # 20 steps of 4, the last with one image, which one of two processes has; and an odd number
SMALL = "--backbone resnet18 --norm group --freeze 1-3 --batch-size 4 --data.workers 0 --epochs 1 --image-size 128"
SMALL += " --optim.name sgd --lr 0.001 --data.augment light"
NARROW = {
    "faster_rcnn": "--head.channels 32 --head.representation 32 --head.rois-per-image 32",
    # with the others' rate the mask head makes ten times as much of any rounding in every step
    "mask_rcnn": "--head.channels 32 --head.representation 32 --head.rois-per-image 32 --lr 0.0002",
    "retinanet": "--head.channels 32",
    "fcos": "--head.channels 64",
    "unet": "--head.loss cross_entropy+dice",
    "unetplusplus": "--head.loss bce+tversky",
    "manet": "--head.loss focal+dice",
    "deeplabv3": "--head.dropout 0",
    "deeplabv3plus": "--head.dropout 0",
    # with the others' rate another convolution kernel changes its losses by 9e-4 within these steps, on one process
    "fpn": "--head.dropout 0 --lr 0.0002",
    "pspnet": "--head.dropout 0 --lr 0.0002",
    "pan": "--norm batch",  # its attention makes maps of one channel and pixel, which have no groups
}


def _data(folder: Path) -> Path:
    """Every third image has objects, so that in many steps one process has none."""
    generator = np.random.default_rng(0)

    def images(count: int, prefix: str) -> Images:
        found: Images = {}
        for number in range(count):
            corners = np.add(generator.integers(0, 48, (2, 4)), [0, 0, 80, 60])
            boxes = [(CLASSES[k], *(float(value) for value in corner)) for k, corner in enumerate(corners)]
            found[f"{prefix}{number:03d}"] = boxes if number % 3 == 0 else []  # type: ignore[assignment]
        return found

    def add_polygons(_split: str, content: dict[str, Any]) -> None:
        for annotation in content["annotations"]:
            x, y, width, height = annotation["bbox"]
            annotation["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]

    splits = {"train": images(IMAGES, "a"), "val": images(VAL, "b")}
    return write_coco(folder, splits, [(1, "red"), (2, "white")], width=192, height=128, edit=add_polygons)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _process(rank: int, count: int, port: int, argvs: list[list[str]]) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": "1"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    for argv in argvs:
        assert main(argv) == 0


def together(count: int, argvs: list[list[str]]) -> None:
    """Each of these trainings by so many processes, as torchrun begins them."""
    spawn(_process, args=(count, _free_port(), argvs), nprocs=count)


def _argv(head: str, data: Path, output: Path) -> list[str]:
    flags = (
        f"--task {head_named(head).task} --head {head} --data {data} --output {output} {SMALL} {NARROW.get(head, '')}"
    )
    return flags.split()


def _log(run: Path, split: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["split"] == split]


def _compare(one: Path, several: Path, val_images: int = VAL) -> None:
    steps, others = _log(one, "train"), _log(several, "train")
    assert len(steps) == len(others) == 20
    if one.name.endswith("pan"):  # batch norms see their own process's images
        return
    for mine, other in zip(steps, others, strict=True):
        assert mine.keys() == other.keys()
        for name in mine.keys() - {"split"}:
            assert other[name] == pytest.approx(mine[name], abs=1e-4, rel=1e-4), (several.name, mine["step"], name)
    (val,), (other_val,) = _log(one, "val"), _log(several, "val")
    assert (val["images"], other_val["images"]) == (val_images, val_images)


def _same_figures(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What several processes have evaluated, one evaluates to the same with the same weights."""
    seen: list[dict[str, float]] = []
    monkeypatch.setattr("tasks.commands.evaluate.metrics_table", lambda splits, title: seen.append(splits["val"]))
    assert vertebra(["evaluate", str(run), "--workers", "0"]) == 0
    assert seen[0] == pytest.approx(json.loads((run / "run.json").read_text())["metrics"], abs=1e-6)


@pytest.mark.filterwarnings("default:freezing a backbone")
@pytest.mark.parametrize(
    "heads",
    [
        pytest.param(("fcos",), id="some"),
        pytest.param((*list_heads("detection"), *list_heads("segmentation")), marks=pytest.mark.slow, id="all"),
    ],
)
def test_two_processes_train_as_one(tmp_path: Path, heads: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses of 20 steps to 1e-4 and the evaluation to 1e-6, with a frozen prefix and group norms."""
    data = _data(tmp_path / "data")
    for head in heads:
        assert main(_argv(head, data, tmp_path / f"one-{head}")) == 0
    together(2, [_argv(head, data, tmp_path / f"two-{head}") for head in heads])
    for head in heads:
        _compare(tmp_path / f"one-{head}", tmp_path / f"two-{head}")
        _same_figures(tmp_path / f"two-{head}", monkeypatch)


@pytest.mark.slow
@pytest.mark.filterwarnings("default:freezing a backbone")
def test_two_processes_train_a_classifier_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argvs = [
        [*_argv("linear", Path("shapes"), tmp_path / name), "--data.count", str(IMAGES), "--data.fit", "resize"]
        for name in ("one", "two")
    ]
    assert main(argvs[0]) == 0
    together(2, argvs[1:])
    _compare(tmp_path / "one", tmp_path / "two", val_images=16)
    _same_figures(tmp_path / "two", monkeypatch)


@pytest.mark.slow
@pytest.mark.filterwarnings("default:freezing a backbone")
def test_four_processes_on_two_nodes_and_parts_of_a_step_train_as_one(tmp_path: Path) -> None:
    data = _data(tmp_path / "data")
    assert main(_argv("fcos", data, tmp_path / "one")) == 0
    argv = _argv("fcos", data, tmp_path / "four")
    port = _free_port()
    torchrun = [*TORCHRUN, "--nnodes", "2", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    nodes = [
        subprocess.Popen(
            [*torchrun, "--node-rank", str(node), "--master-port", str(port), "tools/train.py", *argv],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for node in (0, 1)
    ]
    assert [node.wait() for node in nodes] == [0, 0]
    _compare(tmp_path / "one", tmp_path / "four")


def _processes(count: int, *argv: str) -> subprocess.Popen[str]:
    command = [*TORCHRUN, "--nproc-per-node", str(count), "--master-port", str(_free_port()), "tools/train.py", *argv]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _ends(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=120)
    return process.returncode


def _said(errors: str) -> list[str]:
    """What is not torchrun's own report."""
    return [line for line in errors.splitlines() if line.startswith(("interrupted", "/", "another process", "the "))]


@pytest.mark.slow
def test_a_failure_of_one_process_ends_both_with_one_message(tmp_path: Path) -> None:
    images: Images = {f"a{k}": [("red", 4, 4, 40, 40)] for k in range(8)}
    data = write_voc(tmp_path / "data", {"train": images, "val": {"v": [("red", 4, 4, 40, 40)]}})
    broken = data / "JPEGImages/a5.jpg"
    broken.write_bytes(broken.read_bytes()[:-1500])  # in one process's share of one step
    flags = f"--data {data} --image-size 64 --batch-size 2 --data.workers 0 --epochs 1 --backbone resnet18"
    process = _processes(2, *flags.split(), "--output", str(tmp_path / "run"))
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert len(_said(errors)) == 1, errors
    assert "a5.jpg" in _said(errors)[0]


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_after_the_same_step_and_they_go_on(tmp_path: Path) -> None:
    flags = ["--backbone", "resnet18", "--data.count", "40", "--data.workers", "1", "--epochs", "1", "--norm", "group"]
    flags += ["--batch-size", "2", "--image-size", "64", "--optim.name", "sgd"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert _ends(_processes(2, *flags, "--output", str(whole))) == 0
    process = _processes(2, *flags, "--output", str(run))
    while not (run / "metrics.jsonl").exists() or len((run / "metrics.jsonl").read_text().splitlines()) < 3:
        time.sleep(0.05)
        assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert _said(errors) == ["interrupted by SIGTERM"]
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert 3 <= len(_log(run, "train")) < 20
    assert _ends(_processes(2, "--resume", "--output", str(run))) == 0
    assert (run / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text()
    one, two = (load_file(folder / "last/model.safetensors") for folder in (run, whole))
    assert all(torch.equal(one[name], two[name]) for name in two)
