"""`benchmark`: ours against the peers on the same work, in turn, in one run; and what a step asks of a device."""

from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from pydantic import Field
from rich.console import Console

from tasks.benchmark import list_lines
from tasks.commands.cli import parse, run_command
from tasks.commands.outputs import check_writable
from tasks.config import Device, Group, SettingsError, UserPath, refuse_unused

if TYPE_CHECKING:
    from tasks.benchmark import RealData

_PAIRS, _ROUNDS = 5, 3


# What each is for; the others would leave it unused.
_FOR = {
    "only": ("peers",),
    "rounds": ("peers", "growth", "loop", "index", "evaluation"),
    "steps": ("peers", "level"),
    "device": ("peers", "growth", "level"),
    "seed": ("peers",),
    "backbone": ("peers", "growth", "level"),
    "image_size": ("peers", "growth", "level"),
    "batch_size": ("peers",),
    "data": ("peers",),
    "weights": ("peers",),
    "stride_in_1x1": ("peers",),
    "seeds": ("peers",),
    "json_file": ("peers",),
    "plot": ("peers",),
    "images": ("index", "evaluation"),
    "workers": ("index",),
    "folder": ("index",),
    "head": ("growth", "level", "synchronisations"),
    "lines": ("synchronisations",),
}


class BenchmarkArguments(Group):
    """The work to time."""

    what: Literal["peers", "growth", "level", "loop", "index", "evaluation", "synchronisations"] = "peers"
    """Ours against torchvision, segmentation-models-pytorch and timm, line by line; how a training step of a detector
    grows with objects and images, or whether memory stays level over many steps; the trainer's loop by itself, with a
    model that does nothing; reading a COCO-sized annotation file and sharing it with workers, against pycocotools and
    torchvision's CocoDetection; the COCO metrics by hotcoco against pycocotools; or how often the host waits for a
    device, copies to it and calls an operator in a training step of each head, counted without a device."""
    only: tuple[str, ...] = ()
    """peers: these lines of the table. None named: all."""
    rounds: int | None = Field(None, ge=1)
    """How often each is timed, in turn. None: 5 pairs for peers, 3 for the others."""
    steps: int | None = Field(None, ge=1)
    """peers: of each side, timed together (1; on a GPU 5). level: of the training (1,000)."""
    device: Device = "auto"
    """peers, growth and level."""
    seed: int = Field(0, ge=0, lt=2**31)
    """peers: of weights, images and trainings."""
    backbone: str | None = None
    """peers (resnet50), growth and level (resnet18): another; peers then has no goals."""
    image_size: int | None = Field(None, ge=32)
    """peers, growth and level (320): another side of the images in pixels; peers then has no goals."""
    batch_size: int | None = Field(None, ge=1)
    """peers: other images a step; there are no goals then."""
    data: UserPath | None = None
    """peers: a Pascal VOC folder, such as BCCD, for the line `finetuning`, which is left out without."""
    weights: UserPath | None = None
    """peers: of the ResNet-50 of that line."""
    stride_in_1x1: bool = False
    """peers: those weights are of the original bottleneck: the stride on the first 1x1."""
    seeds: int = Field(1, ge=1)
    """peers: pairs of trainings of that line, each with a seed of its own."""
    json_file: Annotated[UserPath | None, tyro.conf.arg(name="json")] = None
    """peers: a file for everything that was measured."""
    plot: UserPath | None = None
    """peers: a PNG file of the ratios."""
    images: int | None = Field(None, ge=20)
    """index (118,000) and evaluation (5,000): how many; objects in proportion."""
    workers: int = Field(4, ge=1)
    """index: processes that read images."""
    folder: UserPath | None = None
    """index: where the synthetic data goes. None: a temporary folder."""
    head: str | None = None
    """growth, level and synchronisations: of this head. None: of all."""
    lines: int = Field(0, ge=0)
    """synchronisations: print this many of the lines that make the host wait, of each head."""


def main(argv: list[str]) -> int:
    return run_command(lambda console: _benchmark(_parse(argv), console))


def _parse(argv: list[str]) -> BenchmarkArguments:
    return parse(
        BenchmarkArguments,
        argv,
        command="benchmark",
        description="Time ours against a peer's on the same work, or count what a training step asks of a device.\n\n"
        f"The lines of --what peers: {', '.join(list_lines())}.",
        example="--only faster-rcnn-frozen unet-free --json ratios.json --plot ratios.png",
    )


def _benchmark(arguments: BenchmarkArguments, console: Console) -> int:
    from tasks.benchmark import count_synchronisations, time_evaluation, time_index, time_loop

    for name, uses in _FOR.items():
        if arguments.what not in uses:
            refuse_unused(arguments, name, f"is for --what {', '.join(uses)}")
    rounds = arguments.rounds or _ROUNDS
    if arguments.what == "peers":
        return _compare(arguments, console)
    if arguments.what in ("growth", "level"):
        return _grow(arguments, console)
    if arguments.what == "index":
        return time_index(
            console, images=arguments.images, workers=arguments.workers, rounds=rounds, folder=arguments.folder
        )
    if arguments.what == "loop":
        return time_loop(console, rounds=rounds)
    if arguments.what == "evaluation":
        return time_evaluation(console, images=arguments.images, rounds=rounds)
    return count_synchronisations(console, head=arguments.head, lines=arguments.lines)


def _compare(arguments: BenchmarkArguments, console: Console) -> int:
    from tasks.benchmark import find_lines

    lines = find_lines(arguments.only)
    data = _real_data(arguments)
    for file in (arguments.json_file, arguments.plot):
        if file is not None:
            check_writable(file)

    from tasks.benchmark import Asked, compare

    asked = Asked(
        apart=True,
        rounds=arguments.rounds or _PAIRS,
        steps=arguments.steps,
        device=arguments.device,
        seed=arguments.seed,
        backbone=arguments.backbone,
        image_size=arguments.image_size,
        batch_size=arguments.batch_size,
        data=data,
        json=arguments.json_file,
        plot=arguments.plot,
    )
    return compare(console, lines, asked)


def _real_data(arguments: BenchmarkArguments) -> "RealData | None":
    from tasks.benchmark import RealData

    if arguments.data is None:
        for name in ("weights", "stride_in_1x1", "seeds"):
            refuse_unused(arguments, name, "is of --data, which is not given")
        return None
    if not (arguments.data / "ImageSets/Main/train.txt").is_file():
        raise SettingsError(f"data: {arguments.data}: no Pascal VOC folder with a train split")
    if arguments.weights is not None and not arguments.weights.is_file():
        raise SettingsError(f"weights: {arguments.weights}: there is no such file")
    return RealData(arguments.data, arguments.weights, arguments.stride_in_1x1, arguments.seeds)


def _grow(arguments: BenchmarkArguments, console: Console) -> int:
    from tasks.benchmark import Growth, measure_growth, measure_level

    growth = Growth(
        head=arguments.head,
        backbone=arguments.backbone or "resnet18",
        side=arguments.image_size or 320,
        rounds=arguments.rounds or _ROUNDS,
        device=arguments.device,
    )
    if arguments.what == "growth":
        return measure_growth(console, growth)
    return measure_level(console, growth, steps=arguments.steps or 1000)
