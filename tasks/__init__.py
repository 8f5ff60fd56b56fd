"""Detection and segmentation on the backbones of `backbones`: `create_task`, `load_predictor`, `train`; and
`check_head`, for the authors of heads.

The names are imported when they are asked for: `--help` has to answer without torch.
"""

from typing import TYPE_CHECKING

from backbones import hand_out

if TYPE_CHECKING:
    from tasks.assembly import create_task
    from tasks.conformance import check_head
    from tasks.deploy import load_predictor
    from tasks.runs import train

__all__ = ["check_head", "create_task", "load_predictor", "train"]

__getattr__ = hand_out(
    __name__,
    {
        "assembly": ("create_task",),
        "conformance": ("check_head",),
        "deploy": ("load_predictor",),
        "runs": ("train",),
    },
)
