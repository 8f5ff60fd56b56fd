"""A training step of ours against a peer's on the same pictures, in turn, in one process."""

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tasks.commands.timings.arguments import BenchmarkArguments

if TYPE_CHECKING:
    from tasks.task import Batch

_CLASSES = ("ground", "circle", "square", "triangle")


def time_steps(arguments: BenchmarkArguments, console: Console) -> int:
    from tasks.config import DataSettings
    from tasks.create import create_transform
    from tasks.data.loading import Loader
    from tasks.data.open import open_data

    settings = DataSettings(count=arguments.batch_size * (arguments.steps + 1), image_size=arguments.image_size)
    loader = Loader(
        open_data(settings, arguments.task).splits["train"],
        create_transform(arguments.task, settings, train=arguments.task == "segmentation"),
        batch_size=arguments.batch_size,
    )
    peer, make = {"detection": ("torchvision", _torchvisions), "segmentation": ("SMP", _smps)}[arguments.task]
    steps = {"vertebra": _ours(arguments), peer: make(arguments)}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number, batch in enumerate(loader.batches()):
        for name, step in steps.items():
            started = time.perf_counter()
            step(batch)
            if number:
                seconds[name].append(time.perf_counter() - started)
    table = Table(title=f"seconds a step, {arguments.steps} steps of each in turn", title_justify="left")
    for column in ("", "median", "least", "most"):
        table.add_column(column, justify="left" if not column else "right")
    for name, values in seconds.items():
        table.add_row(name, *(f"{value:.3f}" for value in (statistics.median(values), min(values), max(values))))
    console.print(table)
    ratios = [theirs / ours for ours, theirs in zip(seconds["vertebra"], seconds[peer], strict=True)]
    console.print(f"{peer} takes {statistics.median(ratios):.2f} times as long (median of the pairs)")
    return 0


def _ours(arguments: BenchmarkArguments) -> Callable[["Batch"], None]:
    from backbones import create_backbone
    from tasks.create import create_task

    task = create_task(arguments.task, _pretend_pretrained(create_backbone(arguments.backbone), arguments), _CLASSES)
    return _stepper(task.model, lambda batch: task.losses(task.model, batch), arguments.precision)


def _smps(arguments: BenchmarkArguments) -> Callable[["Batch"], None]:
    import segmentation_models_pytorch as smp
    import torch

    from backbones.hub import IMAGENET_MEAN, IMAGENET_STD
    from tasks.segmentation.losses import SegmentationLoss

    model = smp.Unet(arguments.backbone, encoder_weights=None, classes=len(_CLASSES))
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    loss = SegmentationLoss("cross_entropy + dice")

    def losses(batch: "Batch") -> Any:
        images = torch.stack(batch.images)
        normalised = (images.float() / 255 - mean.to(images.device)) / std.to(images.device)
        target = torch.stack([target["mask"] for target in batch.targets]).long()
        return loss(model(normalised.contiguous(memory_format=torch.channels_last)), target)

    return _stepper(model, losses, arguments.precision)


def _torchvisions(arguments: BenchmarkArguments) -> Callable[["Batch"], None]:
    from torchvision.models.detection import FasterRCNN

    from backbones import FeaturePyramid, create_backbone

    pyramid = FeaturePyramid(_pretend_pretrained(create_backbone(arguments.backbone), arguments))
    side = arguments.image_size
    model = FasterRCNN(pyramid.as_torchvision(), num_classes=len(_CLASSES) + 1, min_size=side, max_size=side)

    def losses(batch: "Batch") -> Any:
        targets = [{"boxes": target["boxes"], "labels": target["labels"] + 1} for target in batch.targets]
        return model([image / 255 for image in batch.images], targets)

    return _stepper(model, losses, arguments.precision)


def _pretend_pretrained(backbone: Any, arguments: BenchmarkArguments) -> Any:
    backbone.pretrained = True  # random weights take the same time; freezing them needs no warning here
    backbone.freeze(arguments.freeze)
    backbone.hold_norms()
    return backbone


def _stepper(model: Any, losses: Callable[["Batch"], Any], precision: str) -> Callable[["Batch"], None]:
    import torch

    from tasks.config import OptimSettings
    from tasks.training.optim import make_optimizer
    from tasks.training.trainer import autocast

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).to(memory_format=torch.channels_last).train()
    optimizer = make_optimizer(model, OptimSettings(lr=1e-3))

    def step(batch: "Batch") -> None:
        with autocast(device, precision):
            loss = torch.stack(list(losses(batch.to(device)).values())).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()

    return step
