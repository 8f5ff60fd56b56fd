"""Ours against the peers on the same work, in turn: a file a comparison.

Each imports what it compares with when it is called, and is itself imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.benchmark.evaluation import time_evaluation
    from tasks.benchmark.index import time_index
    from tasks.benchmark.steps import Work, time_steps

__all__ = ["Work", "time_evaluation", "time_index", "time_steps"]

_FILES = {"Work": "steps", "time_evaluation": "evaluation", "time_index": "index", "time_steps": "steps"}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(import_module(f"tasks.benchmark.{_FILES[name]}"), name)
    raise AttributeError(f"module 'tasks.benchmark' has no attribute {name!r}")
