"""Ours against the peers on the same work, in turn; and what a step asks of a device: a file a comparison.

Each imports what it compares with when it is called, and is itself imported when it is asked for.
"""

from typing import TYPE_CHECKING

from backbones import hand_out

if TYPE_CHECKING:
    from tasks.benchmark.evaluation import time_evaluation
    from tasks.benchmark.index import time_index
    from tasks.benchmark.loop import time_loop
    from tasks.benchmark.steps import Work, time_steps
    from tasks.benchmark.synchronisations import count_synchronisations

__all__ = ["Work", "count_synchronisations", "time_evaluation", "time_index", "time_loop", "time_steps"]

__getattr__ = hand_out(
    __name__,
    {
        "evaluation": ("time_evaluation",),
        "index": ("time_index",),
        "loop": ("time_loop",),
        "steps": ("Work", "time_steps"),
        "synchronisations": ("count_synchronisations",),
    },
)
