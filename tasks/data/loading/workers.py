"""The processes that read images."""

import os
import re
import signal
from collections.abc import Collection
from typing import Any

import cv2
import torch
from torch.utils.data import get_worker_info

from tasks.data.dataset.splits import Indexed

_PIDS = re.compile(r"pid(?:\(s\))? ([\d, ]+)")


class WorkerError(RuntimeError):
    """A process that reads images has died; the message is one line."""


class WhatIsRead:
    """Which image each process is reading, for when it dies over it: it cannot say so itself.

    Args:
        workers: how many processes there are.
    """

    def __init__(self, workers: int) -> None:
        self._seen = torch.zeros(workers, 2, dtype=torch.int64).share_memory_()

    def note(self, index: int) -> None:
        """This process reads the image now."""
        worker = get_worker_info()
        if worker is not None:
            self._seen[worker.id] = torch.tensor([os.getpid(), index])

    def failure(self, error: Exception, samples: Indexed[Any], dead: Collection[int | None]) -> WorkerError | None:
        """What to say where torch says that a process is gone, or one is; None where the error is another."""
        found = _PIDS.search(str(error))
        if found is None and not dead:
            return None
        pids = {int(pid) for pid in found[1].replace(",", " ").split()} if found else set(dead)
        found_at = [samples[index] for pid, index in self._seen.tolist() if pid in pids]
        names = [str(sample.file or sample.name) for sample in found_at]
        reason = "killed" if "killed by signal" in str(error) else "gone"
        return WorkerError(
            f"a process that reads images was {reason} while it was at {', '.join(names) or 'none yet'}; where memory "
            "is short, take fewer of them (--data.workers), or 0, which shows what fails"
        )


def set_up_worker(_worker: int) -> None:
    # Ctrl-C and a batch system's SIGTERM go to a whole group of processes, but are the trainer's to answer. (SIGTERM
    # must keep its effect: it is how Python ends these processes.)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    # Each worker is one process of several: threads within it would only compete.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
