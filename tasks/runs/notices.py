"""What `train` says of its data before it begins."""

from typing import Any

import torch
from rich.console import Console
from torch.nn import Module

from backbones import InputError
from tasks.config import DetectorSettings, HeadSettings, SegmenterSettings, Settings
from tasks.data import CHECKS, DataSet, SampleTable, share_sizes
from tasks.detection import anchor_fit, anchor_sizes
from tasks.doctor import quick_findings
from tasks.processes import processes
from tasks.runs.console import called
from tasks.segmentation import median_frequency_weights

_MOST_DROPPED = 10
_SAID_ALREADY = ("class-unused", "class-not-in-train")


def print_data(settings: Settings, data: DataSet[Any], console: Console) -> None:
    """The data set, what is left out of it, and what is odd."""
    console.print(str(data))
    print_dropped(data, console)
    if missing := data.classes_without_objects():
        console.print(f"warning: train has nothing of: {', '.join(missing)}")
    _print_odd(settings, data, console)


def print_dropped(data: DataSet[Any], console: Console) -> None:
    """What is left out of a data set."""
    dropped = data.dropped
    for line in dropped[:_MOST_DROPPED]:
        console.print(f"warning: dropped: {line}")
    if dropped:
        what = "boxes " if isinstance(data.splits["train"], SampleTable) else ""
        console.print(f"warning: {what}dropped in all: {len(dropped)}")


def _print_odd(settings: Settings, data: DataSet[Any], console: Console) -> None:
    findings = list(data.findings)
    if isinstance(settings.head, DetectorSettings):
        findings += quick_findings(data, settings.data.image_size, settings.head.detections_per_image)
    messages: dict[str, list[str]] = {}
    for finding in findings:
        if finding.level == "warning" and finding.check not in _SAID_ALREADY:
            messages.setdefault(finding.check, []).append(finding.message)
    for check, lines in messages.items():
        console.print(f"warning: {len(lines)} {CHECKS[check].what} (the first: {lines[0]})")
    if messages:
        console.print(f"warning: {called('doctor')} lists each, and what to do")


def print_anchors(settings: Settings, data: DataSet[Any], model: Module, console: Console) -> None:
    """Whether the anchors of a detector fit the boxes."""
    if not isinstance(settings.head, DetectorSettings):
        return
    sizes, train = anchor_sizes(model), data.splits["train"]
    if sizes is None or not isinstance(train, SampleTable):
        return
    fit = anchor_fit(train, settings.data.image_size, sizes)
    if fit is not None:
        console.print(f"{'warning: ' if fit.bad else ''}{fit}{fit.advice}")


def print_processes(settings: Settings, device: torch.device, console: Console) -> None:
    """Which images of a step each of several processes has.

    Raises:
        InputError: there are more processes than images, or their norms cannot be synchronised.
    """
    batch_size, several = settings.data.batch_size, processes()
    if several > batch_size:
        raise InputError(
            f"--batch-size {batch_size}: is of all {several} processes together; give at least one image each"
        )
    if several > 1 and settings.backbone.norm == "sync" and device.type == "cpu":
        raise InputError("--norm sync: several processes synchronise norms on GPUs alone; take --norm group here")
    if several > 1:
        sizes = sorted(set(share_sizes(batch_size, several)))
        console.print(f"{several} processes: {batch_size} images a step, {' or '.join(map(str, sizes))} on each")


def balanced_head(head: HeadSettings, data: DataSet[Any], console: Console) -> HeadSettings:
    """The head's settings with the weights of the classes in them, where they are to be balanced."""
    if not (isinstance(head, SegmenterSettings) and head.balance_classes):
        return head
    weights = median_frequency_weights(data.splits["train"], len(data.classes))
    listed = ", ".join(f"{name} {weight:g}" for name, weight in zip(data.classes, weights, strict=True))
    console.print(f"classes weigh by their rarity: {listed}")
    return head.model_copy(update={"class_weights": weights})
