"""Detection and segmentation on the backbones of `backbones`: `create_task`, `load_predictor`.

Both names are imported when they are asked for: `--help` has to answer without torch.
"""

from typing import TYPE_CHECKING

from backbones import hand_out

if TYPE_CHECKING:
    from tasks.assembly import create_task
    from tasks.deploy import load_predictor

__all__ = ["create_task", "load_predictor"]

__getattr__ = hand_out(__name__, {"assembly": ("create_task",), "deploy": ("load_predictor",)})
