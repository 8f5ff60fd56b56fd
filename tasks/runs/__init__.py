"""Training from beginning to end, for the command and for Python. What needs torch is imported when it is asked for."""

from typing import TYPE_CHECKING

from backbones import hand_out
from tasks.runs.console import called, plain_console
from tasks.runs.layers import Layers, lay_under
from tasks.runs.summary import metrics_table

if TYPE_CHECKING:
    from tasks.runs.notices import print_dropped
    from tasks.runs.replaying import replay
    from tasks.runs.run import TrainedRun, train, train_run

__all__ = [
    "Layers",
    "TrainedRun",
    "called",
    "lay_under",
    "metrics_table",
    "plain_console",
    "print_dropped",
    "replay",
    "train",
    "train_run",
]

__getattr__ = hand_out(
    __name__, {"notices": ("print_dropped",), "replaying": ("replay",), "run": ("TrainedRun", "train", "train_run")}
)
