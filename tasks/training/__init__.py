"""The trainer, which knows no task, and what it stands on."""

from tasks.training.checkpoint import (
    DESCRIPTION,
    WEIGHTS,
    TrainingState,
    checkpoint_folder,
    load_weights_into,
    read_description,
    read_state,
)
from tasks.training.optim import make_optimizer
from tasks.training.run import Run
from tasks.training.trainer import Interrupted, Trainer, TrainingError, autocast, evaluate

__all__ = [
    "DESCRIPTION",
    "WEIGHTS",
    "Interrupted",
    "Run",
    "Trainer",
    "TrainingError",
    "TrainingState",
    "autocast",
    "checkpoint_folder",
    "evaluate",
    "load_weights_into",
    "make_optimizer",
    "read_description",
    "read_state",
]
