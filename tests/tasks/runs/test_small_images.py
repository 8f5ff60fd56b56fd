"""Images so small that a norm has nothing to normalise are named, before the training where their sizes are known."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import nn

from backbones import InputError, create_backbone
from tasks import create_task
from tasks.data import Batch
from tasks.runs import train_run
from tasks.task import Task
from tests.heads import head as make_head
from tests.heads import run_settings

NARROW = {"faster_rcnn": {"rois_per_image": 16, "representation": 16}, "retinanet": {"channels": 32}}
# What torch's norms refuse: (head, its settings, norm, images, side, training). The backbone is a ResNet-18: its
# coarsest map has stride 32, p7 stride 128.
REFUSED: list[tuple[str, dict[str, Any], str, int, int, bool]] = [
    *((head, {}, norm, 1, 32, True) for head in ("faster_rcnn", "retinanet", "unet") for norm in ("batch", "sync")),
    *((head, {}, "instance", 2, 32, True) for head in ("faster_rcnn", "retinanet", "unet", "linknet")),
    ("unet", {"decoder_channels": (32, 16, 16)}, "instance", 1, 8, True),
    ("unet", {"decoder_channels": (32, 16, 16)}, "batch", 1, 8, True),
    ("unet", {}, "instance", 1, 32, False),
    ("fcos", {"channels": 32}, "batch", 1, 64, True),
    ("fcos", {"channels": 32}, "batch", 1, 128, False),
]
TAKEN: list[tuple[str, dict[str, Any], str, int, int, bool]] = [
    ("faster_rcnn", {}, "batch", 2, 32, True),
    ("faster_rcnn", {}, "group", 1, 32, True),
    ("faster_rcnn", {}, "frozen", 1, 32, True),
    ("unet", {"decoder_channels": (32, 16, 16)}, "batch", 1, 32, True),
    ("unet", {"decoder_channels": (32, 16, 16)}, "instance", 1, 32, True),
    ("unet", {}, "batch", 1, 32, False),
    ("fcos", {"channels": 32}, "batch", 2, 64, True),
    ("fcos", {"channels": 64}, "batch", 1, 64, True),
    ("deeplabv3", {}, "batch", 1, 64, True),
    ("pan", {}, "sync", 1, 128, True),
]


@pytest.fixture(autouse=True)
def _sync_norms_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one process they are batch norms, but torch's want a GPU."""
    monkeypatch.setattr(nn.SyncBatchNorm, "forward", nn.modules.batchnorm._BatchNorm.forward)


def _go(head_name: str, options: dict[str, Any], norm: str, count: int, side: int, training: bool) -> Any:
    head = make_head(head_name, **(NARROW.get(head_name, {}) | options))
    backbone = create_backbone("resnet18", norm=norm, output_stride=head.output_strides[0])
    task: Task = create_task(head.task, backbone, ["a", "b"], head=head, norm=norm)
    images = [torch.randint(0, 256, (3, side, side), dtype=torch.uint8) for _ in range(count)]
    target = {
        "mask": torch.randint(0, 2, (side, side)),
        "boxes": torch.tensor([[1.0, 1, side - 1, side - 1]]),
        "labels": torch.zeros(1, dtype=torch.int64),
        "crowd_boxes": torch.zeros(0, 4),
        "unlabelled": torch.zeros(0, dtype=torch.long),
    }
    names = [f"{number}.png" for number in range(count)]
    batch = Batch(images, [target] * count, list(range(count)), names, [(side, side)] * count)
    task.model.train(training)
    if training:
        return task.losses(task.model, batch)
    with torch.inference_mode():
        return task.predict(task.model, batch)


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_small_images_are_named_where_torch_names_a_tensor(case: Any) -> None:
    cure = "norm 'group'" if case[2] == "instance" else "a wider head" if case[0] == "fcos" else "more images a batch"
    side = case[4]
    with pytest.raises(InputError, match=rf"0\.png.*{side} x {side} px: a norm has a single value .* or {cure}"):
        _go(*case)


@pytest.mark.parametrize("case", TAKEN, ids=str)
def test_what_a_norm_can_work_with_is_taken(case: Any) -> None:
    _go(*case)


@pytest.mark.parametrize(
    ("head", "norm", "data", "split"),
    [
        ("unet", "batch", {"batch_size": 1, "image_size": 32}, "train"),
        ("unet", "sync", {"batch_size": 7, "image_size": 32}, "train"),  # 8 images: the last batch has one
        ("unet", "instance", {"batch_size": 4, "image_size": 32}, "train"),
        ("faster_rcnn", "instance", {"batch_size": 4, "image_size": 32}, "train"),
    ],
)
def test_a_run_says_it_before_it_begins(head: str, norm: str, data: dict[str, Any], split: str, tmp_path: Any) -> None:
    settings = run_settings(
        head,
        head={"name": head} | NARROW.get(head, {}),
        data={"count": 8, "workers": 0} | data,
        backbone={"name": "resnet18", "norm": norm},
        output=str(tmp_path / "run"),
    )
    with pytest.raises(InputError, match=f"--image-size {data['image_size']}: the smallest of {split}: a batch of"):
        train_run(settings, Console(quiet=True))
    assert not (tmp_path / "run").exists()


def test_the_sizes_of_whole_images_that_are_not_known_are_named_when_they_come(tmp_path: Any) -> None:
    for split, name, side in (("train", "a", 40), ("train", "b", 40), ("val", "small", 20)):
        for folder in ("images", "masks"):
            path = tmp_path / "data" / split / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((side, side), name == "b", np.uint8)).save(path)
    settings = run_settings(
        "unet",
        head={"name": "unet", "decoder_channels": [8, 8, 8, 8, 8]},
        data={"path": str(tmp_path / "data"), "image_size": 64},
        backbone={"name": "resnet18", "norm": "instance"},
        output=str(tmp_path / "run"),
        schedule={"epochs": 1},
    )
    with pytest.raises(InputError, match=r"^small\.png: a batch of 1, 20 x 20 px"):
        train_run(settings, Console(quiet=True))
