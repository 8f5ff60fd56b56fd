"""Short trainings that answer a question: does everything go through, and can the data be learnt at all?"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from tasks.config import Settings
from tasks.data import DataSet, LabelledSamples, SampleTable
from tasks.task import Task
from tasks.training import Run, TrainingError

_STEPS = 2  # of a dry run
_OVERFIT_STEPS = 400
_LOSS_SHARE, _LEAST_METRIC = 0.1, 0.9
_LAST = 10  # steps whose mean is the last loss


@contextmanager
def dry(settings: Settings) -> Iterator[Settings]:
    """The settings of two steps into a folder that goes afterwards."""
    with TemporaryDirectory() as folder:
        schedule = settings.schedule.model_copy(update={"epochs": 1})
        changes = {"output": str(Path(folder) / "run"), "resume": False, "schedule": schedule}
        yield settings.model_copy(update=changes)


def first_steps(settings: Settings, data: DataSet[Any]) -> DataSet[Any]:
    """Two batches of every split."""
    most = _STEPS * settings.data.batch_size
    return replace(data, splits={name: split.take(range(min(len(split), most))) for name, split in data.splits.items()})


def few_images(settings: Settings, data: DataSet[Any]) -> tuple[Settings, DataSet[Any]]:
    """The first images with objects, both to train on, as they are, and to evaluate with."""
    train = data.splits["train"]
    chosen = np.arange(len(train))
    if isinstance(train, SampleTable):
        chosen = chosen[train.class_presence(len(data.classes)).any(axis=1)]
    if isinstance(train, LabelledSamples):  # class after class: those far apart are of several
        chosen = np.linspace(0, len(train) - 1, min(settings.overfit or 1, len(train))).astype(np.int64)
    few = train.take(chosen[: settings.overfit].tolist())
    changed = {"data": settings.data.model_copy(update={"augment": "none", "sampling": "each"}), "ema": None}
    return settings.model_copy(update=changed), replace(data, splits={"train": few, "val": few})


def passes(settings: Settings, images: int) -> NDArray[np.float64]:
    """How often each image comes in an epoch, so that there are enough steps in all."""
    wanted = _OVERFIT_STEPS * settings.data.batch_size / (images * settings.schedule.epochs)
    return np.full(images, float(math.ceil(wanted)))


def check_overfit(run: Run, task: Task, metric: float, console: Console) -> None:
    """Say how far it came.

    Raises:
        TrainingError: not far enough: something keeps the model from learning.
    """
    records = [json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()]
    losses = [record["loss"] for record in records if record["split"] == "train"]
    first, last = losses[0], sum(losses[-_LAST:]) / len(losses[-_LAST:])
    line = f"the loss went from {first:.3f} to {last:.3f} and {task.best_metric} is {metric:.3f} on the same images"
    if last >= _LOSS_SHARE * first or metric < _LEAST_METRIC:
        raise TrainingError(
            f"overfit: {line}; wanted are a tenth of the loss and {_LEAST_METRIC}; look at what it trains on "
            "(doctor), and try more epochs, another optim.lr, or more free stages"
        )
    console.print(f"overfit: {line}: it learns")
