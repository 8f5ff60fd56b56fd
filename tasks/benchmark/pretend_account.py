"""An account of what a host asks of the pretend device, with the lines that ask."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

NAME = "pretend"  # of the device
_ROOT = Path(__file__).resolve().parents[2]
# Whose lines ask for others: torch's, and those of the files that make the device.
_PASSED_OVER = (f"{Path(torch.__file__).parent}/", str(Path(__file__).with_name("pretend_")))


@dataclass
class Account:
    """What the host asked of the device.

    Attributes:
        synchronisations: (kind, "file:line") -> how often the host waited for the device.
        copies: from the host to the device; those that block are among the synchronisations too.
        operators: calls of torch's operators on its tensors, views among them.
    """

    synchronisations: Counter[tuple[str, str]] = field(default_factory=Counter)
    copies: int = 0
    operators: int = 0

    @property
    def waits(self) -> int:
        """How often the host waited, in all."""
        return sum(self.synchronisations.values())

    @property
    def kinds(self) -> dict[str, int]:
        """Synchronisations by what was asked for."""
        kinds: Counter[str] = Counter()
        for (kind, _), count in self.synchronisations.items():
            kinds[kind] += count
        return dict(kinds)


_open: list[Account] = []  # accounts that are being kept


@contextmanager
def counted() -> Iterator[Account]:
    """Keep an account of everything that the pretend device is asked for within this context, by all threads."""
    account = Account()
    _open.append(account)
    try:
        yield account
    finally:
        _open[:] = [one for one in _open if one is not account]


def note_wait(kind: str, times: int = 1) -> None:
    """The host waits for the device."""
    if _open and times:
        place = _place()
        for account in _open:
            account.synchronisations[kind, place] += times


def note_copy() -> None:
    """The host copies to the device."""
    for account in _open:
        account.copies += 1


def note_operator() -> None:
    """The host calls an operator."""
    for account in _open:
        account.operators += 1


def _place() -> str:
    """The innermost line that asks by itself."""
    frame = sys._getframe()
    while frame.f_back and frame.f_code.co_filename.startswith(_PASSED_OVER):
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    if path.is_relative_to(_ROOT):
        path = path.relative_to(_ROOT)
    return f"{path.as_posix().rpartition('site-packages/')[-1]}:{frame.f_lineno}"
