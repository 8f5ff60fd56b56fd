"""Promises put to the test, for the authors of plugins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Check:
    """One promise of the contract: whether it is kept, and what was seen."""

    name: str
    passed: bool
    detail: str


class ConformanceError(AssertionError):
    """A plugin breaks its contract; the message names every broken promise."""


def keep_promises(name: str, what: str, checks: Mapping[str, Callable[[], str]]) -> tuple[Check, ...]:
    """Try each promise and print a table of it.

    Args:
        name: of the plugin.
        what: it is: a backbone, a head.
        checks: what is promised, and a function that tries it and says what it saw.

    Returns:
        The checks, all of them passed.

    Raises:
        ConformanceError: some did not pass; after the table was printed.
    """
    done = [_run(label, check) for label, check in checks.items()]
    table = Table("", "", "", title=f"{name}: the contract of {what}", title_justify="left", show_header=False)
    for check in done:
        table.add_row("ok" if check.passed else "BROKEN", check.name, check.detail)
    Console(markup=False).print(table)
    broken = [f"{check.name}: {check.detail}" for check in done if not check.passed]
    if broken:
        raise ConformanceError(f"{name} breaks {len(broken)} of {len(done)} promises: {'; '.join(broken)}")
    return tuple(done)


def _run(label: str, check: Callable[[], str]) -> Check:
    try:
        return Check(label, True, check())
    except Exception as error:  # whatever a foreign package raises is what the author has to see
        return Check(label, False, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
