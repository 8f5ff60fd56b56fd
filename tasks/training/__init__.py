"""The trainer, which knows no task, and what it stands on.

What needs torch is imported when it is asked for: optimizers and schedules are settings too.
"""

from typing import TYPE_CHECKING

from backbones import hand_out
from tasks.training._lookup import find_optimizer, find_schedule, list_optimizers, list_schedules

if TYPE_CHECKING:
    from tasks.training.checkpoint import (
        DESCRIPTION,
        WEIGHTS,
        TrainingState,
        checkpoint_folder,
        load_weights_into,
        read_description,
        read_state,
        save_checkpoint,
    )
    from tasks.training.conversion import convert_config
    from tasks.training.cores import (
        as_it_was,
        available_cores,
        keep_freed_memory,
        loader_workers,
        settle_threads,
        wait_briefly,
    )
    from tasks.training.device import find_device, make_accelerator, overruled_environment
    from tasks.training.evaluation import evaluate
    from tasks.training.inference import ready_to_predict
    from tasks.training.parameters import make_optimizer
    from tasks.training.replay import read_replay
    from tasks.training.run import Run
    from tasks.training.step import Stepper, autocast
    from tasks.training.stopping import Interrupted, OutOfTime, TrainingError, stop_signals
    from tasks.training.trainer import Trainer

__all__ = [
    "DESCRIPTION",
    "WEIGHTS",
    "Interrupted",
    "OutOfTime",
    "Run",
    "Stepper",
    "Trainer",
    "TrainingError",
    "TrainingState",
    "as_it_was",
    "autocast",
    "available_cores",
    "checkpoint_folder",
    "convert_config",
    "evaluate",
    "find_device",
    "find_optimizer",
    "find_schedule",
    "keep_freed_memory",
    "list_optimizers",
    "list_schedules",
    "load_weights_into",
    "loader_workers",
    "make_accelerator",
    "make_optimizer",
    "overruled_environment",
    "read_description",
    "read_replay",
    "read_state",
    "ready_to_predict",
    "save_checkpoint",
    "settle_threads",
    "stop_signals",
    "wait_briefly",
]

__getattr__ = hand_out(
    __name__,
    {
        "conversion": ("convert_config",),
        "cores": (
            "as_it_was",
            "available_cores",
            "keep_freed_memory",
            "loader_workers",
            "settle_threads",
            "wait_briefly",
        ),
        "device": ("find_device", "make_accelerator", "overruled_environment"),
        "evaluation": ("evaluate",),
        "checkpoint": (
            "DESCRIPTION",
            "WEIGHTS",
            "TrainingState",
            "checkpoint_folder",
            "load_weights_into",
            "read_description",
            "read_state",
            "save_checkpoint",
        ),
        "inference": ("ready_to_predict",),
        "parameters": ("make_optimizer",),
        "replay": ("read_replay",),
        "run": ("Run",),
        "step": ("Stepper", "autocast"),
        "stopping": ("Interrupted", "OutOfTime", "TrainingError", "stop_signals"),
        "trainer": ("Trainer",),
    },
)
