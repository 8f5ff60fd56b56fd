"""A short training within a study: the product's own data, model and trainer, on a part of the images."""

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.config import Settings, merge, setting_paths
from tasks.runs import lay_under, plain_console

if TYPE_CHECKING:
    from tasks.data import DataSet

T = TypeVar("T")


@dataclass(frozen=True)
class Trained:
    """What a short training gave.

    Attributes:
        checkpoint: its last one, a folder.
        images: that it trained on, each once an epoch.
        losses: of every step.
        metrics: after every epoch, by name; evaluated as the model predicts, with running statistics.
        best_metric: the name of the task's own.
        seconds: of training alone, for each epoch on average.
        peak_memory: in MiB: of the device where that is a GPU, otherwise of this process.
    """

    checkpoint: Path
    images: int
    losses: tuple[float, ...]
    metrics: tuple[Mapping[str, float], ...]
    best_metric: str
    seconds: float
    peak_memory: float

    def curve(self, metric: str | None = None) -> tuple[float, ...]:
        """A metric after every epoch; the task's own where None."""
        return tuple(values[metric or self.best_metric] for values in self.metrics)


def settle(asked: Mapping[str, Any]) -> Settings:
    """The settings of a run: the defaults and the recipe under what is asked for, which is nested."""
    layers = lay_under(asked)
    asked_paths = {path for path in setting_paths(layers.kind) if _is_in(path, asked)}
    return layers.settle(merge(layers.values, asked), asked_paths)


def train_briefly(
    asked: Mapping[str, Any], folder: Path, *, images: int | None = None, validate_on_train: bool = False
) -> Trained:
    """Train as `vertebra train` does.

    Args:
        asked: nested settings.
        folder: of the run.
        images: at most so many of train, a random sample by the seed, and of val. None: all.
        validate_on_train: evaluate on the images that are trained on, not augmented, instead of on val.

    Raises:
        SettingsError, InputError: a setting, the data or the weights cannot be used.
        TrainingError, Interrupted: as `Trainer.fit`.
    """
    import json

    import torch

    from tasks.assembly import describe, task_from_settings
    from tasks.data import Loader, fingerprints
    from tasks.training import Run, Trainer, loader_workers, make_accelerator, stop_signals

    settings = settle(asked)
    accelerator = make_accelerator(settings.device)
    settings, data = open_part(settings, images)
    if validate_on_train:
        data = replace(data, splits={"train": data.splits["train"], "val": data.splits["train"]})
    torch.manual_seed(settings.seed)
    task, _ = task_from_settings(settings, data.classes)
    loaders = {}
    for split in ("train", "val"):
        train = split == "train"
        masks = train and settings.head.finds_masks
        channels, samples = settings.backbone.in_channels, data.splits[split]
        loaders[split] = Loader(
            samples,
            task.transform(settings.data, train=train, masks=masks, others=samples, channels=channels),
            batch_size=settings.data.batch_size,
            workers=loader_workers(settings.data.workers, accelerator.device.type),
            seed=settings.seed,
            shuffle=train,
        )
    run = Run(folder)
    run.take()
    try:
        run.start(settings)
        description = describe(settings, task.backbone, data.classes)
        console = plain_console(quiet=True)
        trainer = Trainer(task, settings, run, description, accelerator, console, fingerprints(data))
        with stop_signals() as stop, trainer.explaining(loaders.values(), stop):
            state = trainer.fit(loaders["train"], loaders["val"], stop)
    finally:
        run.release()
    records = [json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()]
    return Trained(
        checkpoint=run.last,
        images=len(data.splits["train"]),
        losses=tuple(record["loss"] for record in records if record["split"] == "train"),
        metrics=tuple(record for record in records if record["split"] == "val"),
        best_metric=task.best_metric,
        seconds=state.train_seconds / state.epoch,
        peak_memory=peak_memory(),
    )


def open_part(settings: Settings, images: int | None) -> "tuple[Settings, DataSet[Any]]":
    """The data of a run, at most so many images of each split, and the settings with its intensities found."""
    import numpy as np

    from tasks.data import found_range, open_data

    data = open_data(settings.data, settings.head.annotations)
    if images is not None:
        # A random sample: class folders stand class after class.
        generator = np.random.default_rng(settings.seed)
        splits = {
            name: split.take(sorted(generator.permutation(len(split))[:images].tolist()))
            for name, split in data.splits.items()
        }
        data = replace(data, splits=splits)
    found = found_range(data.splits["train"]) if settings.data.intensity == "auto" else None
    if found is not None:
        settings = settings.model_copy(update={"data": settings.data.model_copy(update={"intensity": found})})
    return settings, data


def in_own_process(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a process of its own, whose peak memory is that of this call; what it raises is raised."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_memory() -> float:
    """The most memory that was used, in MiB: of the GPU where there is one, otherwise by this process."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss, which begins with what the parent had when it forked.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _is_in(path: str, nested: Mapping[str, Any]) -> bool:
    here: Any = nested
    for name in path.split("."):
        if not isinstance(here, Mapping) or name not in here:
            return False
        here = here[name]
    return True
