"""What a person sees while a run goes on."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class EpochBar:
    """A progress bar over the batches of one pass."""

    def __init__(self, progress: Progress, total: int, done: int, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total, completed=done, note="")

    def advance(self, note: str) -> None:
        self._progress.update(self._task, advance=1, note=note)


@contextmanager
def epoch_bar(console: Console, title: str, total: int, done: int = 0) -> Iterator[EpochBar]:
    """Show a bar with a note (loss, pictures a second) and the time left; it goes when the pass ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    # Where nobody watches (a log file), a bar would only leave its last state behind.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield EpochBar(progress, total, done, title)
