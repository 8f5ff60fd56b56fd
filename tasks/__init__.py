"""Detection on the backbones of `backbones`: `create_task`, `load_predictor`.

Both names are imported when asked for: `--help` has to answer without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.create import create_task
    from tasks.deploy.predictor import load_predictor

__all__ = ["create_task", "load_predictor"]


def __getattr__(name: str) -> Any:
    if name == "create_task":
        from tasks.create import create_task

        return create_task
    if name == "load_predictor":
        from tasks.deploy.predictor import load_predictor

        return load_predictor
    raise AttributeError(f"module 'tasks' has no attribute {name!r}")
