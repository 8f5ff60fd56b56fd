"""Where a run was made."""

import platform
from importlib.metadata import version
from typing import Any

import torch

_PACKAGES = ("vertebra", "torch", "torchvision", "timm", "albumentations", "hotcoco", "accelerate")


def environment(device: torch.device) -> dict[str, Any]:
    """What run.json says of the machine and the packages."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": name if device.type in ("cuda", "cpu") else str(device),
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in _PACKAGES},
    }
