"""Where a training computes."""

import os

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState

from backbones import InputError


def find_device(name: str = "auto") -> torch.device:
    """A device by its name.

    Args:
        name: auto (a GPU where there is one), cpu, cuda, cuda:1, mps, or any other that torch knows.

    Raises:
        InputError: this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, ImportError, AttributeError):
        gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        found = ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]
        raise InputError(f"device: {name!r}: is not on this machine (it has {', '.join(found)})") from None
    return device


def make_accelerator(name: str) -> Accelerator:
    """An accelerator on a device; with several processes, this process's own.

    Raises:
        InputError: this machine has no such device, or several processes were given one.
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    if processes > 1 and ":" in name:
        raise InputError(f"device: {name!r}: is one for {processes} processes; take {name.partition(':')[0]!r}")
    device = find_device(name)
    # accelerate keeps its state for the whole process; another run in it may be on another device.
    AcceleratorState._reset_state(reset_partial_state=True)
    state = PartialState(cpu=device.type == "cpu")
    if processes == 1:
        state.device = device
        if device.type == "cuda":
            torch.cuda.set_device(device)
    return Accelerator(cpu=device.type == "cpu")
