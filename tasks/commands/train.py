"""`train`: settings in, a run's folder out."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tasks.commands.cli import guard, parse_settings
from tasks.config import MASK_HEADS, HeadSettings, Settings

if TYPE_CHECKING:
    from torch.nn import Module

    from tasks.data.loading import Loader
    from tasks.data.samples import DataSet
    from tasks.training.checkpoint import TrainingState
    from tasks.training.run import Run
    from tasks.training.trainer import Trainer

_DROPPED_SHOWN = 10


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    return guard(lambda console: train(parse_settings(arguments), console))


def train(settings: Settings, console: Console) -> int:
    """Train, validate, test; returns the exit code."""
    # Here, not above: torch takes seconds, and --help and wrong flags are answered without it.
    import torch

    from backbones.freezing import freeze_report
    from tasks.create import describe, start_task
    from tasks.data.open import open_data
    from tasks.training.run import Run
    from tasks.training.trainer import Trainer

    run = Run(_output(settings))
    resumed = settings.resume and run.has_last()
    if settings.resume and not resumed:
        console.print(f"{run.folder}: no last/ to resume from, starting over")
    if not settings.resume:
        run.check_free()
    if resumed and run.read_summary().get("status") == "completed":
        console.print(f"{run.folder}: this run is complete; its figures are in {run.summary}")
        return 0

    data = open_data(settings.data, settings.task, outlines=settings.head.name in MASK_HEADS)
    _print_data(settings, data, console)
    torch.manual_seed(settings.seed)
    task, told = start_task(settings, data.classes, _balanced(settings, data, console), run.last if resumed else None)
    console.print(f"weights: {told}", markup=False)
    console.print(f"{settings.backbone.name}: {freeze_report(task.backbone)}")
    if settings.task == "detection":
        _print_anchors(settings, data, task.model, console)
    loaders = {split: _loader(settings, data, split, console) for split in data.splits}
    if resumed:
        _check_classes(run, data)
    else:
        run.start(settings)
    trainer = Trainer(task, settings, run, describe(settings, task.backbone, data.classes), console)
    if resumed:
        trainer.resume(loaders["train"])
        console.print(f"resumed at epoch {trainer.state.epoch + 1}, step {trainer.state.step}")
    console.print(f"training into {run.folder}")
    return _fit(trainer, loaders, run, console)


def _print_anchors(settings: Settings, data: "DataSet[Any]", model: "Module", console: Console) -> None:
    from tasks.data.index import Samples
    from tasks.detection.anchors import anchor_fit, anchor_sizes

    sizes, train = anchor_sizes(model), data.splits["train"]
    if sizes is None or not isinstance(train, Samples):
        return
    fit = anchor_fit(train, settings.data.image_size, sizes)
    if fit is not None:
        console.print(f"{'warning: ' if fit.bad else ''}{fit}{fit.advice}")


def _balanced(settings: Settings, data: "DataSet[Any]", console: Console) -> HeadSettings:
    if not settings.head.balance_classes:
        return settings.head
    from tasks.segmentation.balance import median_frequency_weights

    weights = median_frequency_weights(data.splits["train"], len(data.classes))
    told = ", ".join(f"{name} {weight:g}" for name, weight in zip(data.classes, weights, strict=True))
    console.print(f"classes weigh by their rarity: {told}", markup=False)
    return settings.head.model_copy(update={"class_weights": weights})


def _loader(settings: Settings, data: "DataSet[Any]", split: str, console: Console) -> "Loader":
    from tasks.create import create_transform
    from tasks.data.loading import Loader
    from tasks.data.sampling import times_an_epoch

    train, times = split == "train", None
    if train:
        given = settings.data
        times = times_an_epoch(data.splits[split], len(data.classes), given.sampling, given.repeat_threshold)
    if times is not None:
        often = f"{(times > 1).sum()} of them more than once on average, one {times.max():.1f} times"
        console.print(f"sampling: {times.sum():.0f} pictures an epoch from {len(times)}, {often}")
    return Loader(
        data.splits[split],
        create_transform(
            settings.task,
            settings.data,
            train=train,
            masks=train and settings.head.name in MASK_HEADS,
            others=data.splits[split],
        ),
        batch_size=settings.data.batch_size,
        workers=settings.data.workers,
        seed=settings.seed,
        shuffle=train,
        times=times,
    )


def _fit(trainer: "Trainer", loaders: Mapping[str, "Loader"], run: "Run", console: Console) -> int:
    from tasks.commands.summary import metrics_table
    from tasks.training.checkpoint import load_weights_into
    from tasks.training.trainer import Interrupted, evaluate

    environment = _environment()  # now: it asks a process of its own, which fails once the loader's workers have died
    try:
        state = trainer.fit(loaders["train"], loaders["val"])
    except Exception as error:
        status = "interrupted" if isinstance(error, Interrupted) else "failed"
        run.finish({"status": status, "error": str(error), "environment": environment})
        raise
    assert state.best is not None
    settings = trainer.settings
    summary = _summary(state, loaders["train"].pictures * settings.schedule.epochs, environment)
    tables = {"val": state.best["metrics"]}
    if "test" in loaders:
        load_weights_into(trainer.task.model, run.best)
        summary["test"] = tables["test"] = evaluate(
            trainer.task, trainer.model, loaders["test"], trainer.accelerator, settings.precision, console
        )
    run.finish(summary)
    console.print(metrics_table(tables, f"best checkpoint (epoch {state.best['epoch']})"))
    console.print(
        f"{summary['train_seconds']:.0f} s of training, {summary['images_per_second']:.1f} pictures/s; "
        f"the best checkpoint is {run.best}"
    )
    return 0


def _output(settings: Settings) -> Path:
    if settings.output is not None:
        return Path(settings.output)
    now = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{settings.task}-{settings.backbone.name.replace('/', '-')}-{now}"


def _print_data(settings: Settings, data: "DataSet[Any]", console: Console) -> None:
    console.print(str(data), markup=False)
    for line in data.dropped[:_DROPPED_SHOWN]:
        console.print(f"warning: dropped: {line}", markup=False)
    if data.dropped:
        console.print(f"warning: boxes dropped in all: {len(data.dropped)}")
    if missing := data.classes_without_objects():
        console.print(f"warning: train has nothing of: {', '.join(missing)}", markup=False)
    _print_odd(settings, data, console)


def _print_odd(settings: Settings, data: "DataSet[Any]", console: Console) -> None:
    from tasks.data.doctor import quick_faults
    from tasks.data.faults import CHECKS

    faults = list(data.faults)
    if settings.task == "detection":
        faults += quick_faults(data, settings.data.image_size, settings.head.detections_per_image)
    odd: dict[str, list[str]] = {}
    for fault in faults:
        if fault.level == "warning" and fault.check not in ("class-unused", "class-not-in-train"):  # told already
            odd.setdefault(fault.check, []).append(fault.message)
    for name, lines in odd.items():
        console.print(f"warning: {len(lines)} {CHECKS[name].what} (the first: {lines[0]})", markup=False)
    if odd:
        console.print("warning: tools/doctor.py tells of each, and what to do")


def _check_classes(run: "Run", data: "DataSet[Any]") -> None:
    from backbones import InputError
    from tasks.training.checkpoint import read_description

    trained = tuple(read_description(run.last)["classes"])
    if trained != data.classes:
        raise InputError(
            f"{run.last}: was trained on the classes {', '.join(trained)}; the data has {', '.join(data.classes)}"
        )


def _summary(state: "TrainingState", images: int, environment: Mapping[str, Any]) -> dict[str, Any]:
    assert state.best is not None
    return {
        "status": "completed",
        "metrics": state.best["metrics"],
        "best": {"epoch": state.best["epoch"], "step": state.best["step"]},
        "seconds": state.seconds,
        "train_seconds": state.train_seconds,
        "images_per_second": images / state.train_seconds,
        "environment": environment,
    }


def _environment() -> dict[str, Any]:
    import platform
    from importlib.metadata import version

    import torch

    packages = ("vertebra", "torch", "torchvision", "timm", "albumentations", "hotcoco", "accelerate")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in packages},
    }
