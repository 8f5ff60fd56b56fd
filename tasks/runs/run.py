"""A run from its settings: the data, the model, the training, the test."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from rich.console import Console

from backbones import InputError
from tasks.assembly import describe, task_from_settings
from tasks.config import Group, Settings, flag_paths, merge, spell_out
from tasks.data import fingerprints, open_data
from tasks.deploy import Predictor, load_predictor
from tasks.processes import by_first, rank
from tasks.runs.console import plain_console
from tasks.runs.fitting import fit
from tasks.runs.layers import lay_under
from tasks.runs.loading import make_loader, try_on_first_image, with_intensity
from tasks.runs.notices import balanced_head, print_anchors, print_data, print_processes
from tasks.runs.resuming import check_same_data, is_complete, with_augmentation, with_own_augmentation
from tasks.runs.small_images import check_small_images
from tasks.runs.trials import check_overfit, dry, few_images, first_steps
from tasks.training import (
    Run,
    Trainer,
    keep_freed_memory,
    loader_workers,
    make_accelerator,
    overruled_environment,
    read_description,
    read_state,
    settle_threads,
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
    settings = with_intensity(settings, data, console)
    torch.manual_seed(settings.seed)
    head = balanced_head(settings.head, data, console)
    task, weights = task_from_settings(settings, data.classes, head, run.last if resumed else None)
    console.print(f"weights: {weights}")
    console.print(f"{settings.backbone.name}: {task.backbone.freeze_report()}")
    print_anchors(settings, data, task.model, console)
    workers = loader_workers(settings.data.workers, accelerator.device.type)
    loaders = {split: make_loader(settings, task, data, split, workers, console) for split in data.splits}
    check_small_images(settings, task, loaders)
    try_on_first_image(settings, task, data)
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
    fit(trainer, loaders, run, state, console)
    trained = _trained(run)
    if settings.overfit is not None:
        check_overfit(run, task, trained.metrics[task.best_metric], console)
    return trained


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
