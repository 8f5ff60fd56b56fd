"""Why a training ends before its last step."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Seconds within which a signal that comes again is the same one: a launcher hands on what its group has got as well.
_ONE_SIGNAL = 2.0


class TrainingError(RuntimeError):
    """The run cannot go on; the message is one line."""


class Interrupted(Exception):
    """A signal asked the run to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class OutOfTime(Exception):
    """The minutes that the run was given are over; last/ is written."""


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them, so that the step under way is finished."""
    received: list[int] = []
    first = 0.0

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if received and now - first > _ONE_SIGNAL:  # asked twice: at once, then
            raise KeyboardInterrupt
        if received:
            return
        first = now
        received.append(number)
        # torch raises in the middle of anything when a worker dies. From here on that is no news: a loader that is
        # waited for says so, a few seconds later.
        if hasattr(signal, "SIGCHLD"):
            signal.signal(signal.SIGCHLD, lambda *_: None)

    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield received
        return
    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    if hasattr(signal, "SIGCHLD"):
        previous[signal.SIGCHLD] = signal.getsignal(signal.SIGCHLD)
    try:
        yield received
    finally:
        for number, handler in previous.items():
            if handler is not None:
                signal.signal(number, handler)
