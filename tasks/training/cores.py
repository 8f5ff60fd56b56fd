"""What a machine's cores are used for, and how memory and threads are kept in between: nothing of it changes a number.

Imports no torch: how its threads wait for each other is read when it is loaded.
"""

import ctypes
import math
import os
import sys
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of computing in so many
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_MEMORY = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h
_SPINS = "1000"  # measured on two cores: as fast as libgomp's own when alone, as fast as sleeping beside another
_MOST_WORKERS = 8

_set_here: dict[str, str] = {}


def wait_briefly() -> None:
    """Let threads that wait for each other spin for microseconds and then sleep; before torch is loaded.

    Beside another busy process, as a loader's worker may be one, spinning threads take the cores that those they wait
    for would need; alone, threads that sleep at once wake too late. Whoever has said in the environment how they wait
    has the say.
    """
    if not any(name in os.environ for name in _WAITING):
        os.environ["GOMP_SPINCOUNT"] = _set_here["GOMP_SPINCOUNT"] = _SPINS


def as_it_was() -> dict[str, str]:
    """The environment without what `wait_briefly` has added, for a process that is not ours."""
    return {name: value for name, value in os.environ.items() if _set_here.get(name) != value}


def settle_threads() -> None:
    """No more threads than the cores that a container may use: torch counts those of the machine. OMP_NUM_THREADS has
    the say."""
    import torch

    if not any(name in os.environ for name in _THREADS):
        torch.set_num_threads(max(1, min(torch.get_num_threads(), available_cores())))


def keep_freed_memory() -> None:
    """Let the C library keep what a step frees for the next one, where it is glibc's: else it goes back to the system,
    and every page of it is asked for again. Whoever has set that library's variables has the say."""
    if sys.platform != "linux" or any(name in os.environ for name in _MEMORY):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def available_cores() -> int:
    """That this process may run on, by its affinity and its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota(_QUOTA)))


def loader_workers(wanted: int | None, device: str) -> int:
    """How many processes read images.

    Args:
        wanted: None chooses: beside a CPU one, as it computes on all cores; beside a GPU one for each core but one, of
            those that each process of this machine has, and at most 8.
        device: its type: cpu, cuda, ...
    """
    if wanted is not None:
        return wanted
    if device == "cpu":
        return 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(_MOST_WORKERS, available_cores() // processes - 1))


def _quota(file: Path) -> int:
    """In whole cores, rounded up; very many where there is none."""
    try:
        microseconds, period = file.read_text().split()
        return math.ceil(int(microseconds) / int(period))
    except (OSError, ValueError):  # no file, or "max"
        return sys.maxsize
