"""A run from its settings: the data, the model, the training, the test."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
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
    fingerprints,
    found_range,
    open_data,
    try_augmentation,
)
from tasks.deploy import Predictor, load_predictor
from tasks.processes import by_first, processes, rank
from tasks.runs.console import plain_console
from tasks.runs.environment import environment
from tasks.runs.layers import lay_under
from tasks.runs.notices import balanced_head, print_anchors, print_data, print_processes
from tasks.runs.resuming import check_same_data, is_complete, with_augmentation, with_own_augmentation
from tasks.runs.small_images import check_small_images
from tasks.runs.summary import metrics_table
from tasks.runs.trials import check_overfit, dry, few_images, first_steps, passes
from tasks.task import Task
from tasks.training import (
    Interrupted,
    OutOfTime,
    Run,
    Trainer,
    TrainingState,
    evaluate,
    keep_freed_memory,
    load_weights_into,
    loader_workers,
    make_accelerator,
    overruled_environment,
    read_description,
    read_state,
    settle_threads,
    stop_signals,
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
        Interrupted, OutOfTime: a signal came, or `max_minutes` are over; `resume=True` with the same output goes on.
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
    settle_threads()
    accelerator = make_accelerator(settings.device)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    for line in overruled_environment():
        console.print(f"warning: {line}")
    print_processes(settings, accelerator.device, console)
    if settings.dry_run:
        with dry(settings) as short:
            run = _in_new_folder(short, accelerator, console)
        console.print("dry run: two steps, the validation and the checkpoints went through; nothing is kept")
        return run
    return _in_new_folder(settings, accelerator, console)


def _in_new_folder(settings: Settings, accelerator: Accelerator, console: Console) -> TrainedRun:
    run = Run(by_first(lambda: _output(settings)), writes=rank() == 0)
    by_first(run.take)
    try:
        return _in_folder(settings, run, accelerator, console)
    finally:
        run.release()


def _in_folder(settings: Settings, run: Run, accelerator: Accelerator, console: Console) -> TrainedRun:
    resumed = settings.resume and by_first(run.has_last)
    if settings.resume and not resumed:
        console.print(f"{run.folder}: no last/ to resume from: the run starts over")
    if not settings.resume:
        by_first(run.check_free)
    if resumed and by_first(lambda: is_complete(run, settings)):
        console.print(
            f"{run.folder}: this run is complete; its figures are in {run.summary}; another run goes on from its "
            f"weights with --weights {run.folder}"
        )
        return _trained(run)
    state = read_state(run.last) if resumed else None
    named = settings.data.augment
    if resumed:
        settings = with_own_augmentation(settings, run)
    data = open_data(settings.data, settings.head.annotations)
    print_data(settings, data, console)
    if settings.overfit is not None:
        settings, data = few_images(settings, data)
    if settings.dry_run:
        data = first_steps(settings, data)
    settings = _with_intensity(settings, data, console)
    torch.manual_seed(settings.seed)
    head = balanced_head(settings.head, data, console)
    task, weights = task_from_settings(settings, data.classes, head, run.last if resumed else None)
    console.print(f"weights: {weights}")
    console.print(f"{settings.backbone.name}: {task.backbone.freeze_report()}")
    print_anchors(settings, data, task.model, console)
    workers = loader_workers(settings.data.workers, accelerator.device.type)
    loaders = {split: _loader(settings, task, data, split, workers, console) for split in data.splits}
    check_small_images(settings, task, loaders)
    _try_augmentation(settings, task, data)
    known = fingerprints(data)
    if state is not None:
        check_same_data(settings, run, state, data, known, console)
        run.configure(with_augmentation(settings, named))
    else:
        run.start(settings)
    description = describe(settings, task.backbone, data.classes)
    if resumed:  # what the run began with may be gone, or another file, by now
        description["lineage"] = by_first(lambda: read_description(run.last))["lineage"]
    trainer = Trainer(task, settings, run, description, accelerator, console, known)
    _fit(trainer, loaders, run, state, console)
    trained = _trained(run)
    if settings.overfit is not None:
        check_overfit(run, task, trained.metrics[task.best_metric], console)
    return trained


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


def _loader(settings: Settings, task: Task, data: DataSet[Any], split: str, workers: int, console: Console) -> Loader:
    given, samples, train = settings.data, data.splits[split], split == "train"
    factors = None
    if train and settings.overfit is not None:
        factors = passes(settings, len(samples))
    elif train:
        factors = epoch_repeat_factors(samples, len(data.classes), given.sampling, given.repeat_threshold)
    if factors is not None and settings.overfit is None:
        often = f"{(factors > 1).sum()} of them more than once on average, one {factors.max():.1f} times"
        console.print(f"sampling: {factors.sum():.0f} images an epoch from {len(factors)}, {often}")
    masks = train and settings.head.finds_masks
    return Loader(
        samples,
        task.transform(given, train=train, masks=masks, others=samples, channels=settings.backbone.in_channels),
        batch_size=given.batch_size,
        workers=workers,
        seed=settings.seed,
        shuffle=train,
        repeat_factors=factors,
        share=(rank(), processes()) if train else (0, 1),
    )


def _fit(
    trainer: Trainer, loaders: Mapping[str, Loader], run: Run, state: TrainingState | None, console: Console
) -> None:
    # Now: it asks a process of its own, which fails once the loader's workers have died.
    seen = environment(trainer.device)
    with stop_signals() as stop:
        try:
            if state is not None:
                trainer.resume(state)
                console.print(f"resumed at epoch {trainer.state.epoch + 1}, step {trainer.state.step}")
            console.print(f"training into {run.folder}")
            with trainer.explaining(loaders.values(), stop):
                state = trainer.fit(loaders["train"], loaders["val"], stop)
                assert state.best is not None
                tables = {"val": state.best["metrics"]}
                if "test" in loaders:
                    tables["test"] = _test(trainer, loaders["test"], stop, console)
        except BaseException as error:
            run.finish({"status": _status(error), "error": str(error) or "interrupted", "environment": seen})
            raise
        summary = _summary(state, loaders["train"].images * state.epoch, trainer.settings.schedule.epochs, seen)
        summary |= {"test": tables["test"]} if "test" in tables else {}
        summary |= {"resumed_anyway": state.anyway} if state.anyway else {}
        run.finish(summary)
    console.print(metrics_table(tables, f"best checkpoint (epoch {state.best['epoch']})"))
    console.print(
        f"{summary['train_seconds']:.0f} s of training, {summary['images_per_second']:.1f} images/s; "
        f"the best checkpoint is {run.best}"
    )


def _test(trainer: Trainer, loader: Loader, stop: list[int], console: Console) -> dict[str, float]:
    """The best checkpoint on the test split."""
    load_weights_into(trainer.task.model, trainer.run.best)
    precision = trainer.settings.precision
    metric = evaluate(trainer.task, trainer.task.model, loader, trainer.device, precision, console, stop)
    return by_first(metric.compute)


def _status(error: BaseException) -> str:
    if isinstance(error, OutOfTime):
        return "stopped"
    return "interrupted" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "failed"


def _trained(run: Run) -> TrainedRun:
    summary = by_first(run.read_summary)
    return TrainedRun(run.folder, summary["metrics"], summary.get("test", {}))


def _output(settings: Settings) -> Path:
    if settings.output is not None:
        return Path(settings.output)
    now = time.strftime("%Y%m%d-%H%M%S")
    name = f"{settings.task}-{settings.backbone.name.replace('/', '-')}-{now}"
    for number in count(1):  # others may begin in the same second
        folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"{folder}: cannot be written to: {error.strerror}") from None
        return folder
    raise AssertionError("count ends nowhere")


def _summary(state: TrainingState, images: int, epochs: int, seen: Mapping[str, Any]) -> dict[str, Any]:
    assert state.best is not None
    return {
        "status": "completed",
        "epochs": state.epoch,
        "epochs_at_most": epochs,
        "metrics": state.best["metrics"],
        "best": {"epoch": state.best["epoch"], "step": state.best["step"]},
        "seconds": state.seconds,
        "train_seconds": state.train_seconds,
        "images_per_second": images / state.train_seconds,
        "environment": seen,
    }
