"""Detection and segmentation on the backbones of `backbones`: `create_task`, `load_predictor`.

Both names are imported when they are asked for: `--help` has to answer without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.assembly import create_task
    from tasks.deploy import load_predictor

__all__ = ["create_task", "load_predictor"]

_ROOMS = {"create_task": "tasks.assembly", "load_predictor": "tasks.deploy"}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module 'tasks' has no attribute {name!r}")
