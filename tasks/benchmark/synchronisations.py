"""What a training step of each head asks of a device: how often the host waits, copies, and calls an operator.

Counted on the pretend device, so it needs no hardware. The step is the trainer's own; its log reads the numbers of
a step while the device is at the next one.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tasks.config import DEFAULT_HEADS, HeadSettings

if TYPE_CHECKING:
    from tasks.benchmark.pretend_account import Account
    from tasks.data import Batch
    from tasks.task import Task

CLASSES = ("ground", "circle", "square", "triangle")
_IMAGES = (2, 8)
_SIDE = 64
_BACKBONE = "resnet18"


def count_synchronisations(console: Console, *, head: str | None = None, lines: int = 0) -> int:
    """Print the counts of a step with 2 and with 8 images, the same image over and over; of a detector those of
    torchvision's too, as its reference script trains it, with the same backbone and stages.

    Args:
        head: the only one to count; None counts all.
        lines: how many lines of code to print for each head, those first that make the host wait most often.

    Raises:
        SettingsError: there is no such head.
    """
    title = f"a training step with {' / '.join(map(str, _IMAGES))} images"
    table = Table("head", title=title, title_justify="left")
    for column in ("synchronisations", "copies to the device", "operators"):
        table.add_column(column, justify="right")
    accounts: dict[str, Account] = {}
    for settings in _heads(head):
        few, many = (count_step(settings, images) for images in _IMAGES)
        _add(table, settings.name, few, many)
        if settings.task == "detection":
            _add(table, "  torchvision's", *(count_torchvisions(settings, images) for images in _IMAGES))
        accounts[settings.name] = many
    console.print(table)
    if lines:
        console.print(_where(accounts, lines))
    return 0


def count_step(head: HeadSettings, images: int) -> "Account":
    """What the second step asks of the device, with so many images; the first step makes what later ones keep."""
    from tasks.benchmark.pretend_account import counted

    task, batch = example(head)
    batch = repeated(batch, images)
    step = _stepper(task, head)
    step(batch)
    with counted() as account:
        step(batch)
    return account


def count_torchvisions(head: HeadSettings, images: int) -> "Account":
    """The same of torchvision's detector."""
    from tasks.benchmark.comparisons.torchvision_detectors import reference_step, torchvision_detector
    from tasks.benchmark.pretend_account import counted
    from tasks.benchmark.pretend_device import pretend_device

    _, batch = example(head)
    model = torchvision_detector(
        head.name, _BACKBONE, len(CLASSES), frozen_stages=3, min_size=_SIDE, max_size=2 * _SIDE
    )
    step = reference_step(model, [repeated(batch, images)], pretend_device(), "fp32", lr=1e-3)
    step(0)
    with counted() as account:
        step(0)
    return account


def _add(table: Table, name: str, few: "Account", many: "Account") -> None:
    pairs = ((few.waits, many.waits), (few.copies, many.copies), (few.operators, many.operators))
    table.add_row(name, *(f"{one:,} / {other:,}" for one, other in pairs))


def _heads(name: str | None) -> list[HeadSettings]:
    from tasks.heads import head_named, list_heads

    names = [name] if name else [one for task in DEFAULT_HEADS for one in list_heads(task)]
    return [head_named(one)() for one in names]


def example(head: HeadSettings) -> "tuple[Task, Batch]":
    """A head on a small backbone that is frozen in parts, and a batch of one image made on the fly; both on the CPU."""
    from backbones import create_backbone
    from tasks.assembly import create_task, find_task
    from tasks.config import data_settings
    from tasks.data import Loader, open_data

    backbone = create_backbone(_BACKBONE, output_stride=head.output_strides[0])
    backbone.pretrained = True  # random weights ask for the same; freezing them needs no warning here
    task = create_task(head.task, backbone, CLASSES, head=head)
    backbone.freeze("1-3")
    backbone.hold_norms()
    settings = data_settings(head.task)(count=1, image_size=_SIDE)
    samples = open_data(settings, head.annotations).splits["train"]
    transform = find_task(head.task).transform(settings, train=False, masks=head.finds_masks)
    return task, next(iter(Loader(samples, transform, batch_size=1).batches()))


def repeated(batch: "Batch", times: int) -> "Batch":
    """The batch's images over and over, with their targets."""
    return replace(
        batch,
        images=batch.images * times,
        targets=batch.targets * times,
        indices=list(range(len(batch.images) * times)),
        names=batch.names * times,
        original_sizes=batch.original_sizes * times,
        seeds=[*batch.seeds] * times,
    )


def _stepper(task: "Task", head: HeadSettings) -> Callable[["Batch"], object]:
    """The trainer's own step."""
    import torch

    from tasks.benchmark.pretend_device import pretend_device
    from tasks.config import settings_for
    from tasks.training import Stepper, find_optimizer, find_schedule

    device = pretend_device()
    task.model.to(device).to(memory_format=torch.channels_last).train()
    settings = settings_for(type(head), find_optimizer("sgd"), find_schedule("cosine"))(head=head)
    stepper = Stepper(task, task.model, settings, device, print)
    return lambda batch: stepper(batch, 1, 1e-3, [])


def _where(accounts: "dict[str, Account]", lines: int) -> Table:
    table = Table("head", "kind", "line", "times", title=f"where, with {_IMAGES[-1]} images", title_justify="left")
    for name, account in accounts.items():
        for number, ((kind, place), times) in enumerate(account.synchronisations.most_common(lines)):
            table.add_row("" if number else name, kind, place, str(times))
    return table
