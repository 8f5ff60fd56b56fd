"""`benchmark`: ours against the peers on the same work, in turn, in one run; and what a step asks of a device."""

from typing import Literal

from pydantic import Field
from rich.console import Console

from tasks.commands.cli import parse, run_command
from tasks.config import Device, Group, UserPath


class BenchmarkArguments(Group):
    """The work to time."""

    what: Literal["step", "loop", "index", "evaluation", "synchronisations"] = "step"
    """A training step; the trainer's loop by itself, with a model that does nothing; reading a COCO-sized annotation
    file and sharing it with workers, against pycocotools and torchvision's CocoDetection; the COCO metrics by hotcoco
    against pycocotools; or how often the host waits for a device, copies to it and calls an operator in a training step
    of each head, counted without a device."""
    task: Literal["detection", "segmentation"] = "detection"
    """step: against torchvision's Faster R-CNN, or against segmentation-models-pytorch's Unet."""
    backbone: str = "resnet50"
    """step: of both models; its weights are random."""
    freeze: str = "1-3"
    """step: stages held still in both; segmentation-models-pytorch cannot and trains everything."""
    image_size: int = Field(320, ge=32)
    """step: side of the images in pixels."""
    batch_size: int = Field(4, ge=1)
    """step: images a step."""
    steps: int = Field(7, ge=1)
    """step: timed steps of each, after one that is not."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """step: of both."""
    device: Device = "auto"
    images: int | None = Field(None, ge=20)
    """index (118,000) and evaluation (5,000): how many; objects in proportion."""
    workers: int = Field(4, ge=1)
    """index: processes that read images."""
    rounds: int = Field(3, ge=1)
    """loop, index and evaluation: how often each is timed, in turn."""
    folder: UserPath | None = None
    """index: where the synthetic data goes. None: a temporary folder."""
    head: str | None = None
    """synchronisations: of this head. None: of all."""
    lines: int = Field(0, ge=0)
    """synchronisations: print this many of the lines that make the host wait, of each head."""


def main(argv: list[str]) -> int:
    return run_command(lambda console: _benchmark(_parse(argv), console))


def _parse(argv: list[str]) -> BenchmarkArguments:
    return parse(
        BenchmarkArguments,
        argv,
        command="benchmark",
        description="Time ours against a peer's on the same work, or count what a training step asks of a device.",
        example="--what step --task detection",
    )


def _benchmark(arguments: BenchmarkArguments, console: Console) -> int:
    from tasks.benchmark import Work, count_synchronisations, time_evaluation, time_index, time_loop, time_steps

    if arguments.what == "index":
        return time_index(
            console,
            images=arguments.images,
            workers=arguments.workers,
            rounds=arguments.rounds,
            folder=arguments.folder,
        )
    if arguments.what == "loop":
        return time_loop(console, rounds=arguments.rounds)
    if arguments.what == "evaluation":
        return time_evaluation(console, images=arguments.images, rounds=arguments.rounds)
    if arguments.what == "synchronisations":
        return count_synchronisations(console, head=arguments.head, lines=arguments.lines)
    work = Work(
        task=arguments.task,
        backbone=arguments.backbone,
        freeze=arguments.freeze,
        image_size=arguments.image_size,
        batch_size=arguments.batch_size,
        precision=arguments.precision,
        device=arguments.device,
    )
    return time_steps(console, work, steps=arguments.steps)
