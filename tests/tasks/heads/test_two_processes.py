"""Every head as several processes train it: they refuse parameters that a step does not use."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing import spawn
from torch.nn.parallel import DistributedDataParallel

from backbones import create_backbone
from tasks import create_task
from tasks.config import HeadSettings, RegionSettings, UNetSettings
from tasks.data import Batch
from tasks.heads import list_heads
from tasks.task import Task
from tests.heads import head as make_head

SHALLOW = tuple((name, depth) for name in ("unet", "unetplusplus", "manet") for depth in (3, 4))


def _heads() -> list[HeadSettings]:
    """All of them; narrow where the width costs time only, and those with a depth at every depth."""
    heads = []
    for name in list_heads():
        head = make_head(name)
        narrow = {"rois_per_image": 16, "representation": 32} if isinstance(head, RegionSettings) else {}
        widths = {"decoder_channels": (32, 32, 16, 16, 16)} if isinstance(head, UNetSettings) else {}
        heads.append(head.model_copy(update=narrow | widths))
    return heads + [make_head(name, decoder_channels=(32, 16, 16, 16)[:depth]) for name, depth in SHALLOW]


def _task(head: HeadSettings, backbone_name: str) -> Task:
    torch.manual_seed(0)
    backbone = create_backbone(backbone_name, output_stride=head.output_strides[0])
    task = create_task(head.task, backbone, ["a", "b"], head=head)
    backbone.pretrained = True
    backbone.freeze("1-3")
    return task


def _batch(head: HeadSettings, rank: int) -> Batch:
    torch.manual_seed(rank)
    images = [torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8) for _ in range(2)]
    target: dict[str, Tensor] = {"mask": torch.randint(0, 2, (64, 96)), "label": torch.tensor(rank)}
    if head.task == "detection":
        boxes = torch.tensor([[10.0, 20, 50, 60], [20, 5, 90, 60]])[: 2 - rank]
        target = {"boxes": boxes, "labels": torch.arange(len(boxes)), "crowd_boxes": torch.zeros(0, 4)}
        target["unlabelled"] = torch.zeros(0, dtype=torch.long)
        target["masks"] = torch.ones(len(boxes), 64, 96, dtype=torch.uint8)
    return Batch(images, [target, target], [0, 1], ["a", "b"], [(64, 96)] * 2)


def _step(task: Task, model: nn.Module, batch: Batch) -> None:
    torch.stack(list(task.losses(model, batch).values())).sum().backward()


def _train(rank: int, folder: str) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for head in _heads():
        task = _task(head, "resnetv2_18")
        task.model.train()
        model = DistributedDataParallel(task.model)
        for _ in range(2):  # a second step is where parameters that the first did not use are refused
            _step(task, model, _batch(head, rank))
        gradient = torch.stack([one.grad.norm() for one in task.model.parameters() if one.grad is not None])
        other = gradient.clone()
        dist.broadcast(other, src=0)
        assert torch.equal(gradient, other), f"{head.name}: the processes have other gradients"
        (Path(folder) / f"{rank}.txt").open("a").write(f"{head.name}\n")
    dist.destroy_process_group()


@pytest.mark.parametrize("head", _heads(), ids=lambda head: f"{head.name}-{len(head.levels)}")
def test_a_step_reaches_every_parameter_that_trains(head: HeadSettings) -> None:
    task = _task(head, "resnetv2_18")
    task.model.train()
    _step(task, task.model, _batch(head, 0))
    assert not [name for name, one in task.model.named_parameters() if one.requires_grad and one.grad is None]


@pytest.mark.slow
def test_every_head_trains_under_two_processes_with_a_frozen_prefix(tmp_path: Path) -> None:
    """Plain DistributedDataParallel, without find_unused_parameters; one image on the second process has one object."""
    spawn(_train, args=(str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        done = (tmp_path / f"{rank}.txt").read_text().split()
        assert done == [head.name for head in _heads()]
        assert set(done) == set(list_heads())
