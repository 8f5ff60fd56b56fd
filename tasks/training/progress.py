"""What a person sees while a run goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(console: Console, title: str, total: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """A bar with a note (loss, images a second) and the time left, gone when the block ends.

    Args:
        total, done: steps in all, and before this block.

    Yields:
        A function to call after every step, with the note.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    # Where nobody watches (a log file), a bar would only leave its last state behind.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total, completed=done, note="")
        yield lambda note: progress.update(task, advance=1, note=note)
