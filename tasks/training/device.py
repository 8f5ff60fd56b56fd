"""Where a training computes, and with how many processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedDataParallelKwargs

from backbones import InputError

# By which `accelerate launch` and its configuration file would change a run that has the same settings; what each says
# where it leaves the settings alone.
_BACK_DOORS = {
    "ACCELERATE_MIXED_PRECISION": ("no", "--precision"),
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": ("1", "--accumulate"),
    "ACCELERATE_DYNAMO_BACKEND": ("no", None),
    "ACCELERATE_TORCH_DEVICE": ("", "--device"),
    "ACCELERATE_USE_CPU": ("false", "--device"),
    "ACCELERATE_DOWNCAST_BF16": ("no", "--precision"),
}
_OTHER_ENGINES = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism of several dimensions",
}


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
    """An accelerator on a device; with several processes, this process's own. Settings alone decide how it trains: what
    the environment says of that is left aside.

    Raises:
        InputError: this machine has no such device, several processes were given one, or the environment asks for what
            there is not here.
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    if processes > 1 and ":" in name:
        raise InputError(f"device: {name!r}: is one for {processes} processes; take {name.partition(':')[0]!r}")
    for variable, engine in _OTHER_ENGINES.items():
        if os.environ.get(variable, "false").lower() == "true":
            raise InputError(f"{variable}: {engine} is not supported: every process has the whole model; unset it")
    if processes > 1 and torch.cuda.is_available():  # or each would begin on the first
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())
    device = find_device(name)
    with _settings_alone():
        # accelerate keeps its state for the whole process; another run in it may be on another device.
        AcceleratorState._reset_state(reset_partial_state=True)
        state = PartialState(cpu=device.type == "cpu")
        if processes == 1:
            state.device = device
            if device.type == "cuda":
                torch.cuda.set_device(device)
        # Running statistics follow the first process's before they are used; frozen ones are the same everywhere.
        exchange = DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)
        return Accelerator(
            cpu=device.type == "cpu",
            mixed_precision="no",
            gradient_accumulation_steps=1,
            kwargs_handlers=[exchange],
        )


def overruled_environment() -> list[str]:
    """A line for each variable that asks a run for what its settings do not say."""
    lines = []
    for variable, (harmless, flag) in _BACK_DOORS.items():
        value = os.environ.get(variable, harmless)
        if value.lower() not in (harmless, ""):
            instead = f"; {flag} decides" if flag else ""
            lines.append(f"{variable}={value}: has no say here{instead}")
    return lines


@contextmanager
def _settings_alone() -> Iterator[None]:
    hidden = {name: value for name, value in os.environ.items() if name.startswith(("ACCELERATE_", "FSDP_"))}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
