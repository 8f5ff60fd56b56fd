"""Heads by name: a name is that of a file in this room."""

from functools import cache

from backbones import nearest
from tasks.config import DEFAULT_HEADS, HeadSettings, SettingsError, attributes_by_name


def list_heads(task: str | None = None) -> list[str]:
    """The names, in alphabetical order; of a task's heads, or of all."""
    return [name for name, head in _heads().items() if task in (None, head.task)]


def find_head(name: str | None, task: str) -> type[HeadSettings]:
    """The head of this name for this task; None for the task's own default.

    Raises:
        SettingsError: there is no such task or head, or the head is for another task.
    """
    if not isinstance(task, str) or task not in DEFAULT_HEADS:
        raise SettingsError(
            f"task: {task!r} is not known{nearest(str(task), DEFAULT_HEADS)} (known: {', '.join(DEFAULT_HEADS)})"
        )
    name = DEFAULT_HEADS[task] if name is None else name
    if not isinstance(name, str) or name not in _heads():
        raise SettingsError(
            f"head.name: {name!r} is not known{nearest(str(name), _heads())} "
            f"(for {task}: {', '.join(list_heads(task))})"
        )
    head = _heads()[name]
    if head.task != task:
        raise SettingsError(f"head.name: {name!r} is not for {task} (for it: {', '.join(list_heads(task))})")
    return head


def published_detectors() -> dict[str, type[HeadSettings]]:
    """torchvision's names of published weights, and the head that takes each."""
    return {name: head for head in _heads().values() for name in head.published}


@cache
def _heads() -> dict[str, type[HeadSettings]]:
    return attributes_by_name("tasks.heads", "Head")
