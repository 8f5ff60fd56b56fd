"""A run from its settings: the data, the model, the training, the test."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from backbones import InputError
from tasks.assembly import describe, task_from_settings
from tasks.config import Group, SegmentationData, Settings, flag_paths, merge, spell_out
from tasks.data import (
    DataSet,
    Intensity,
    Loader,
    Reading,
    epoch_repeat_factors,
    found_range,
    open_data,
    try_augmentation,
)
from tasks.deploy import Predictor, load_predictor
from tasks.runs.console import plain_console
from tasks.runs.environment import environment
from tasks.runs.layers import lay_under
from tasks.runs.notices import balanced_head, print_anchors, print_data
from tasks.runs.small_images import check_small_images
from tasks.runs.summary import metrics_table
from tasks.task import Task
from tasks.training import (
    Interrupted,
    Run,
    Trainer,
    TrainingState,
    evaluate,
    load_weights_into,
    make_accelerator,
    read_description,
    read_state,
)


@dataclass(frozen=True)
class TrainedRun:
    """A run that came to its end.

    Attributes:
        folder: with its settings, log and checkpoints.
        metrics: of the best checkpoint on val, by name.
        test: the same on the test split; empty where there is none.
    """

    folder: Path
    metrics: Mapping[str, float]
    test: Mapping[str, float] = field(default_factory=dict)

    def predictor(self, device: str | torch.device | None = None) -> Predictor:
        """The best checkpoint as a function of images; see `load_predictor`."""
        return load_predictor(self.folder, device)


def train(**settings: Any) -> TrainedRun:
    """Train a model: `vertebra train` from Python, with its names and defaults.

    Args:
        settings: by their short names (task="segmentation", data="DIR", freeze="1-3", lr=1e-3), as a group
            (head={"name": "unet", "loss": "dice"}) or by their dotted paths (**{"head.loss": "dice"}).

    Raises:
        SettingsError: a setting is not known or does not fit.
        InputError: the data or the weights cannot be used.
        TrainingError: the training cannot go on.
        Interrupted: a signal came; `resume=True` with the same output goes on.
    """
    flags = flag_paths(Settings).items()
    short = {flag.lstrip("-").replace("-", "_"): path for flag, path in flags if "." not in flag and "." in path}
    asked = spell_out(_plain(settings), "train", short)
    layers = lay_under(asked)
    return train_run(layers.settle(merge(layers.values, asked), _paths(asked)), plain_console())


def _plain(value: Any) -> Any:
    """Paths and devices as text, groups as mappings."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    if isinstance(value, Group):
        return value.model_dump()
    return str(value) if isinstance(value, (Path, torch.device)) else value


def _paths(values: Mapping[str, Any], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in values.items():
        found |= _paths(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}"}
    return found


def train_run(settings: Settings, console: Console) -> TrainedRun:
    """Train, validate, test.

    Raises:
        InputError: the data, the weights or the folder cannot be used.
        TrainingError, Interrupted: as `Trainer.fit`.
    """
    run = Run(_output(settings))
    resumed = settings.resume and run.has_last()
    if settings.resume and not resumed:
        console.print(f"{run.folder}: no last/ to resume from: the run starts over")
    if not settings.resume:
        run.check_free()
    if resumed and run.read_summary().get("status") == "completed":
        console.print(f"{run.folder}: this run is complete; its figures are in {run.summary}")
        return _trained(run)
    state = read_state(run.last) if resumed else None

    accelerator = make_accelerator(settings.device)
    data = open_data(settings.data, settings.head.annotations)
    print_data(settings, data, console)
    settings = _with_intensity(settings, data, console)
    torch.manual_seed(settings.seed)
    head = balanced_head(settings.head, data, console)
    task, weights = task_from_settings(settings, data.classes, head, run.last if resumed else None)
    console.print(f"weights: {weights}")
    console.print(f"{settings.backbone.name}: {task.backbone.freeze_report()}")
    print_anchors(settings, data, task.model, console)
    loaders = {split: _loader(settings, task, data, split, console) for split in data.splits}
    check_small_images(settings, task, loaders)
    _try_augmentation(settings, task, data)
    if state is not None:
        _check_classes(run, data)
    else:
        run.start(settings)
    trainer = Trainer(task, settings, run, describe(settings, task.backbone, data.classes), accelerator, console)
    if state is not None:
        trainer.resume(state, loaders["train"])
        console.print(f"resumed at epoch {trainer.state.epoch + 1}, step {trainer.state.step}")
    console.print(f"training into {run.folder}")
    _fit(trainer, loaders, run, console)
    return _trained(run)


def _with_intensity(settings: Settings, data: DataSet[Any], console: Console) -> Settings:
    """With the range of deep images in train, where that is to be found: it is kept with the model."""
    if settings.data.intensity != "auto":
        return settings
    found = found_range(data.splits["train"])
    if found is None:
        return settings
    low, high = found.split(",")
    console.print(f"images of more than 8 bits: levels from {low} to {high} become 0 to 255 (data.intensity {found})")
    return settings.model_copy(update={"data": settings.data.model_copy(update={"intensity": found})})


def _try_augmentation(settings: Settings, task: Task, data: DataSet[Any]) -> None:
    """On the first image of train, at the size that it trains at."""
    reading = Reading(settings.backbone.in_channels, Intensity.of(settings.data.intensity))
    image = data.splits["train"][0].read(reading)
    image = task.transform(settings.data, train=False).resize(image)
    if isinstance(settings.data, SegmentationData):  # crops, padded where the image is smaller
        side = settings.data.image_size
        image = np.resize(image, (side, side, image.shape[2]))
    try_augmentation(settings.data.augment, settings.data.image_size, image)


def _loader(settings: Settings, task: Task, data: DataSet[Any], split: str, console: Console) -> Loader:
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
        task.transform(given, train=train, masks=masks, others=samples, channels=settings.backbone.in_channels),
        batch_size=given.batch_size,
        workers=given.workers,
        seed=settings.seed,
        shuffle=train,
        repeat_factors=factors,
    )


def _fit(trainer: Trainer, loaders: Mapping[str, Loader], run: Run, console: Console) -> None:
    # Now: it asks a process of its own, which fails once the loader's workers have died.
    seen = environment(trainer.accelerator.device)
    try:
        state = trainer.fit(loaders["train"], loaders["val"])
    except Exception as error:
        status = "interrupted" if isinstance(error, Interrupted) else "failed"
        run.finish({"status": status, "error": str(error), "environment": seen})
        raise
    assert state.best is not None
    settings = trainer.settings
    summary = _summary(state, loaders["train"].images * settings.schedule.epochs, seen)
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


def _trained(run: Run) -> TrainedRun:
    summary = run.read_summary()
    return TrainedRun(run.folder, summary["metrics"], summary.get("test", {}))


def _output(settings: Settings) -> Path:
    if settings.output is not None:
        return Path(settings.output)
    now = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{settings.task}-{settings.backbone.name.replace('/', '-')}-{now}"


def _check_classes(run: Run, data: DataSet[Any]) -> None:
    trained = tuple(read_description(run.last)["classes"])
    if trained != data.classes:
        raise InputError(
            f"{run.last}: was trained on the classes {', '.join(trained)}; the data has {', '.join(data.classes)}"
        )


def _summary(state: TrainingState, images: int, seen: Mapping[str, Any]) -> dict[str, Any]:
    assert state.best is not None
    return {
        "status": "completed",
        "metrics": state.best["metrics"],
        "best": {"epoch": state.best["epoch"], "step": state.best["step"]},
        "seconds": state.seconds,
        "train_seconds": state.train_seconds,
        "images_per_second": images / state.train_seconds,
        "environment": seen,
    }
