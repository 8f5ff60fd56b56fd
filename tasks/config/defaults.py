"""What a run begins with, as far as it differs from the defaults of the fields."""

from typing import Any

from tasks.config.data import SHAPES
from tasks.config.heads import HeadSettings

DEFAULT_HEADS = {"detection": "faster_rcnn", "segmentation": "unet", "classification": "linear"}
DEFAULT_OPTIMIZER, DEFAULT_SCHEDULE = "sgd", "cosine"

# For each task, on the built-in shapes (small images and small heads, trained from scratch in minutes on two cores;
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
        "head": {"decoder_channels": (128, 64, 48, 32, 24)},
        "optim": {"name": "adamw", "lr": 2e-3},
        "schedule": {"epochs": 6},
    },
    "classification": {
        "data": {"image_size": 64, "fit": "resize", "batch_size": 16, "workers": 0},
        "backbone": {"name": "resnet18"},
        "optim": {"name": "adamw", "lr": 1e-3},
        "schedule": {"epochs": 6},
    },
}
_ON_YOUR_DATA: dict[str, dict[str, Any]] = {
    "detection": {},
    "segmentation": {
        "data": {"image_size": 256, "batch_size": 8},
        "optim": {"name": "adamw", "lr": 3e-4},
    },
    "classification": {
        "data": {"batch_size": 32},
        "optim": {"name": "adamw", "lr": 3e-4},
    },
}


def run_defaults(head: type[HeadSettings], data_path: str) -> dict[str, Any]:
    """What a run with this head on this data begins with, as far as it differs from the defaults of the fields."""
    values = (_ON_SHAPES if data_path == SHAPES else _ON_YOUR_DATA)[head.task]
    kept = {name: value for name, value in values.get("head", {}).items() if name in head.model_fields}
    return values | {"head": kept}
