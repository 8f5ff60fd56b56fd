"""Ours against the peers on the same work, in turn; and what a step asks of a device: a file a comparison.

Each imports what it compares with when it is called, and is itself imported when it is asked for.
"""

from typing import TYPE_CHECKING

from backbones import hand_out

if TYPE_CHECKING:
    from tasks.benchmark.comparisons.line import RealData
    from tasks.benchmark.comparisons.running import Asked, compare
    from tasks.benchmark.comparisons.table import find_lines, list_lines
    from tasks.benchmark.evaluation import time_evaluation
    from tasks.benchmark.growth import Growth, measure_growth, measure_level
    from tasks.benchmark.index import time_index
    from tasks.benchmark.loop import time_loop
    from tasks.benchmark.synchronisations import count_synchronisations

__all__ = [
    "Asked",
    "Growth",
    "RealData",
    "compare",
    "count_synchronisations",
    "find_lines",
    "list_lines",
    "measure_growth",
    "measure_level",
    "time_evaluation",
    "time_index",
    "time_loop",
]

__getattr__ = hand_out(
    __name__,
    {
        "comparisons.line": ("RealData",),
        "comparisons.running": ("Asked", "compare"),
        "comparisons.table": ("find_lines", "list_lines"),
        "evaluation": ("time_evaluation",),
        "growth": ("Growth", "measure_growth", "measure_level"),
        "index": ("time_index",),
        "loop": ("time_loop",),
        "synchronisations": ("count_synchronisations",),
    },
)
