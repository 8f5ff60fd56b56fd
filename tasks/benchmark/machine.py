"""What times depend on besides the code."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.training import available_cores

_VARIABLES = ("OMP_", "MALLOC_", "MKL_")
_PACKAGES = ("torch", "torchvision", "segmentation-models-pytorch", "timm")


def describe_machine(device: str) -> dict[str, Any]:
    """The processor, its cores, the threads, the device and the versions."""
    import torch

    return {
        "cpu": _cpu_model(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "variables": {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)},
    }


def _cpu_model() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
