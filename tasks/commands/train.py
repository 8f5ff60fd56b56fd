"""`train`: settings in, a run's folder out."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tasks.commands.cli import run_command
from tasks.commands.notices import balanced_head, print_anchors, print_data
from tasks.commands.train_settings import parse_settings
from tasks.config import Settings

if TYPE_CHECKING:
    from tasks.data import DataSet, Loader
    from tasks.task import Task
    from tasks.training import Run, Trainer, TrainingState


def main(argv: list[str]) -> int:
    return run_command(lambda console: train(parse_settings(argv), console))


def train(settings: Settings, console: Console) -> int:
    """Train, validate, test; returns the exit code."""
    # Here, not above: torch takes seconds, and --help and wrong flags are answered without it.
    import torch

    from tasks.assembly import describe, task_from_settings
    from tasks.data import open_data
    from tasks.training import Run, Trainer, read_state

    run = Run(_output(settings))
    resumed = settings.resume and run.has_last()
    if settings.resume and not resumed:
        console.print(f"{run.folder}: no last/ to resume from: the run starts over")
    if not settings.resume:
        run.check_free()
    if resumed and run.read_summary().get("status") == "completed":
        console.print(f"{run.folder}: this run is complete; its figures are in {run.summary}")
        return 0
    state = read_state(run.last) if resumed else None

    data = open_data(settings.data, settings.head.annotations)
    print_data(settings, data, console)
    torch.manual_seed(settings.seed)
    head = balanced_head(settings.head, data, console)
    task, weights = task_from_settings(settings, data.classes, head, run.last if resumed else None)
    console.print(f"weights: {weights}")
    console.print(f"{settings.backbone.name}: {task.backbone.freeze_report()}")
    print_anchors(settings, data, task.model, console)
    loaders = {split: _loader(settings, task, data, split, console) for split in data.splits}
    if state is not None:
        _check_classes(run, data)
    else:
        run.start(settings)
    trainer = Trainer(task, settings, run, describe(settings, task.backbone, data.classes), console)
    if state is not None:
        trainer.resume(state, loaders["train"])
        console.print(f"resumed at epoch {trainer.state.epoch + 1}, step {trainer.state.step}")
    console.print(f"training into {run.folder}")
    return _fit(trainer, loaders, run, console)


def _loader(settings: Settings, task: "Task", data: "DataSet[Any]", split: str, console: Console) -> "Loader":
    from tasks.data import Loader, epoch_repeat_factors

    given, samples, train = settings.data, data.splits[split], split == "train"
    factors = None
    if train:
        factors = epoch_repeat_factors(samples, len(data.classes), given.sampling, given.repeat_threshold)
    if factors is not None:
        often = f"{(factors > 1).sum()} of them more than once on average, one {factors.max():.1f} times"
        console.print(f"sampling: {factors.sum():.0f} images an epoch from {len(factors)}, {often}")
    masks = train and settings.head.finds_masks
    return Loader(
        samples,
        task.transform(given, train=train, masks=masks, others=samples),
        batch_size=given.batch_size,
        workers=given.workers,
        seed=settings.seed,
        shuffle=train,
        repeat_factors=factors,
    )


def _fit(trainer: "Trainer", loaders: Mapping[str, "Loader"], run: "Run", console: Console) -> int:
    from tasks.commands.summary import metrics_table
    from tasks.training import Interrupted, evaluate, load_weights_into

    environment = _environment()  # now: it asks a process of its own, which fails once the loader's workers have died
    try:
        state = trainer.fit(loaders["train"], loaders["val"])
    except Exception as error:
        status = "interrupted" if isinstance(error, Interrupted) else "failed"
        run.finish({"status": status, "error": str(error), "environment": environment})
        raise
    assert state.best is not None
    settings = trainer.settings
    summary = _summary(state, loaders["train"].images * settings.schedule.epochs, environment)
    tables = {"val": state.best["metrics"]}
    if "test" in loaders:
        load_weights_into(trainer.task.model, run.best)
        metric = evaluate(
            trainer.task, trainer.model, loaders["test"], trainer.accelerator, settings.precision, console
        )
        summary["test"] = tables["test"] = metric.compute()
    run.finish(summary)
    console.print(metrics_table(tables, f"best checkpoint (epoch {state.best['epoch']})"))
    console.print(
        f"{summary['train_seconds']:.0f} s of training, {summary['images_per_second']:.1f} images/s; "
        f"the best checkpoint is {run.best}"
    )
    return 0


def _output(settings: Settings) -> Path:
    if settings.output is not None:
        return Path(settings.output)
    now = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{settings.task}-{settings.backbone.name.replace('/', '-')}-{now}"


def _check_classes(run: "Run", data: "DataSet[Any]") -> None:
    from backbones import InputError
    from tasks.training import read_description

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
