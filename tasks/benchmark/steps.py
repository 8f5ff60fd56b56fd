"""A training step of ours against a peer's on the same images, in turn, in one process."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from tasks.data import Batch

_CLASSES = ("ground", "circle", "square", "triangle")


@dataclass(frozen=True)
class Work:
    """What both sides do.

    Attributes:
        task: detection, against torchvision's Faster R-CNN; segmentation, against segmentation-models-pytorch's Unet.
        backbone: of both models; its weights are random.
        freeze: stages held still in both; segmentation-models-pytorch cannot and trains everything.
        image_size: side of the images in pixels.
        batch_size: images a step.
        precision: fp32 or bf16.
        device: of both, by name.
    """

    task: str
    backbone: str
    freeze: str
    image_size: int
    batch_size: int
    precision: str
    device: str = "auto"


def time_steps(console: Console, work: Work, *, steps: int = 7) -> int:
    """Time `steps` steps of each, after one that is not timed."""
    from tasks.assembly import find_task
    from tasks.config import data_settings
    from tasks.data import Loader, open_data
    from tasks.heads import find_head

    settings = data_settings(work.task)(count=work.batch_size * (steps + 1), image_size=work.image_size)
    loader = Loader(
        open_data(settings, find_head(None, work.task).annotations).splits["train"],
        find_task(work.task).transform(settings, train=work.task == "segmentation"),
        batch_size=work.batch_size,
    )
    peer, make = {"detection": ("torchvision", _torchvisions), "segmentation": ("SMP", _smps)}[work.task]
    sides = {"vertebra": _ours(work), peer: make(work)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number, batch in enumerate(loader.batches()):
        for name, step in sides.items():
            started = time.perf_counter()
            step(batch)
            if number:
                seconds[name].append(time.perf_counter() - started)
    table = Table(title=f"seconds a step, {steps} steps of each in turn", title_justify="left")
    for column in ("", "median", "least", "most"):
        table.add_column(column, justify="left" if not column else "right")
    for name, values in seconds.items():
        table.add_row(name, *(f"{value:.3f}" for value in (statistics.median(values), min(values), max(values))))
    console.print(table)
    ratios = [theirs / ours for ours, theirs in zip(seconds["vertebra"], seconds[peer], strict=True)]
    console.print(f"{peer} takes {statistics.median(ratios):.2f} times as long (median of the pairs)")
    return 0


def _ours(work: Work) -> Callable[["Batch"], None]:
    from backbones import create_backbone
    from tasks.assembly import create_task

    task = create_task(work.task, _pretend_pretrained(create_backbone(work.backbone), work), _CLASSES)
    return _stepper(task.model, lambda batch: task.losses(task.model, batch), work)


def _smps(work: Work) -> Callable[["Batch"], None]:
    import segmentation_models_pytorch as smp
    import torch

    from backbones import IMAGENET_MEAN, IMAGENET_STD
    from tasks.segmentation import SegmentationLoss

    model = smp.Unet(work.backbone, encoder_weights=None, classes=len(_CLASSES))
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    loss = SegmentationLoss("cross_entropy + dice")

    def losses(batch: "Batch") -> Any:
        images = torch.stack(batch.images)
        normalised = (images.float() / 255 - mean.to(images.device)) / std.to(images.device)
        target = torch.stack([target["mask"] for target in batch.targets]).long()
        return loss(model(normalised.contiguous(memory_format=torch.channels_last)), target)

    return _stepper(model, losses, work)


def _torchvisions(work: Work) -> Callable[["Batch"], None]:
    from torchvision.models.detection import FasterRCNN

    from backbones import FeaturePyramid, create_backbone

    pyramid = FeaturePyramid(_pretend_pretrained(create_backbone(work.backbone), work))
    side = work.image_size
    model = FasterRCNN(pyramid.as_torchvision(), num_classes=len(_CLASSES) + 1, min_size=side, max_size=side)

    def losses(batch: "Batch") -> Any:
        targets = [{"boxes": target["boxes"], "labels": target["labels"] + 1} for target in batch.targets]
        return model([image / 255 for image in batch.images], targets)

    return _stepper(model, losses, work)


def _pretend_pretrained(backbone: Any, work: Work) -> Any:
    backbone.pretrained = True  # random weights take the same time; freezing them needs no warning here
    backbone.freeze(work.freeze)
    backbone.hold_norms()
    return backbone


def _stepper(model: Any, losses: Callable[["Batch"], Any], work: Work) -> Callable[["Batch"], None]:
    import torch

    from tasks.training import autocast, find_device, find_optimizer, make_optimizer

    device = find_device(work.device)
    model.to(device).to(memory_format=torch.channels_last).train()
    optimizer = make_optimizer(model, find_optimizer("sgd")(lr=1e-3))

    def step(batch: "Batch") -> None:
        with autocast(device, work.precision):
            loss = torch.stack(list(losses(batch.to(device)).values())).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()

    return step
