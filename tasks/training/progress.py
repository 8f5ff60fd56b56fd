"""What a person sees while a run goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN = 0.5  # of two states of a line in a notebook


@contextmanager
def progress_bar(console: Console, title: str, total: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """A bar with a note (loss, images a second) and the time left, gone when the block ends.

    Args:
        total, done: steps in all, and before this block.

    Yields:
        A function to call after every step, with the note.
    """
    if console.is_jupyter:
        with _line(title, total, done) as note:
            yield note
        return
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


@contextmanager
def _line(title: str, total: int, done: int) -> Iterator[Callable[[str], None]]:
    """In a notebook: one line that is written again, at most twice a second."""
    from IPython.display import display

    shown, started, position = display({"text/plain": title}, raw=True, display_id=True), time.monotonic(), done
    last = 0.0

    def note(text: str) -> None:
        nonlocal position, last
        position += 1
        now = time.monotonic()
        if now - last < _SECONDS_BETWEEN and position < total:
            return
        last = now
        left = timedelta(seconds=round((now - started) / (position - done) * (total - position)))
        shown.update({"text/plain": f"{title}  {position}/{total}  {text}  {left} left"}, raw=True)

    yield note
    shown.update({"text/plain": ""}, raw=True)
