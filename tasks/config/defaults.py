"""What a run starts from, as far as it differs from the defaults of the fields."""

from typing import Any

from tasks.config.heads import SETTINGS_OF
from tasks.config.settings import SHAPES

# For each task, on the built-in shapes (small pictures and small heads, trained from scratch in minutes on two cores;
# configs/<task>/shapes.yaml says the same) and on your own data.
_ON_SHAPES: dict[str, dict[str, Any]] = {
    "detection": {
        "data": {"image_size": 64, "workers": 0},
        "backbone": {"name": "resnet18"},
        "head": {"channels": 64, "representation": 256, "anchor_scale": 2.8, "rois_per_image": 64},
        "optim": {"name": "adamw", "lr": 1e-3},
        "schedule": {"epochs": 3},
    },
    "segmentation": {
        "data": {"image_size": 64, "batch_size": 8, "workers": 0},
        "backbone": {"name": "resnet18"},
        "head": {"name": "unet", "decoder_channels": (128, 64, 48, 32, 24)},
        "optim": {"name": "adamw", "lr": 2e-3},
        "schedule": {"epochs": 6},
    },
}
_ON_YOUR_DATA: dict[str, dict[str, Any]] = {
    "detection": {},
    "segmentation": {
        "data": {"image_size": 256, "batch_size": 8},
        "head": {"name": "unet"},
        "optim": {"name": "adamw", "lr": 3e-4},
    },
}


def defaults(task: str, data_path: str, head: str | None = None) -> dict[str, Any]:
    """What a run of this task on this data starts from, as far as it differs from the defaults of the fields.

    Args:
        head: the one that was chosen, or None for the task's own; what it has no use for is left out.
    """
    values = (_ON_SHAPES if data_path == SHAPES else _ON_YOUR_DATA).get(task, {})
    if head not in SETTINGS_OF:
        return values
    kept = {name: value for name, value in values.get("head", {}).items() if name in SETTINGS_OF[head]}
    return values | {"head": kept | {"name": head}}
