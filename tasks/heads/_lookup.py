"""Heads by name: a name is that of a file in this room, or an entry point of an installed package.

[project.entry-points."vertebra.heads"]
my_head = "my_package.head:Head"   # a subclass of tasks.config.DetectorSettings or SegmenterSettings
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from backbones import nearest
from tasks.config import DEFAULT_HEADS, HeadSettings, SettingsError, attributes_by_name

_PLUGINS = "vertebra.heads"
_SAID_BY_A_HEAD = ("annotations", "backbone_prefix", "class_layers")


def list_heads(task: str | None = None) -> list[str]:
    """The names, in alphabetical order; of a task's heads, or of all. A package's head that cannot be used is none."""
    return sorted(name for name, head in _usable().items() if task in (None, head.task))


def find_head(name: str | None, task: str) -> type[HeadSettings]:
    """The head of this name for this task; None for the task's own default.

    Raises:
        SettingsError: there is no such task or head, the head is for another task, or its package is broken.
    """
    if not isinstance(task, str) or task not in DEFAULT_HEADS:
        raise SettingsError(
            f"task: {task!r} is not known{nearest(str(task), DEFAULT_HEADS)} (known: {', '.join(DEFAULT_HEADS)})"
        )
    if name is None:
        return _own()[DEFAULT_HEADS[task]]
    head = _named(name, task)
    if head.task != task:
        raise SettingsError(f"head.name: {name!r} is not for {task} (for it: {', '.join(list_heads(task))})")
    return head


def head_named(name: str) -> type[HeadSettings]:
    """The head of this name, whatever its task.

    Raises:
        SettingsError: there is none, or its package is broken.
    """
    return _named(name, None)


def _named(name: Any, task: str | None) -> type[HeadSettings]:
    if not isinstance(name, str) or name not in {*_own(), *_packages()}:
        usual = f"{f'for {task}' if task else 'known'}: {', '.join(list_heads(task))}"
        raise SettingsError(f"head.name: {name!r} is not known{nearest(str(name), list_heads())} ({usual})")
    return _packaged(name) if name in _packages() else _own()[name]


def published_detectors() -> dict[str, type[HeadSettings]]:
    """torchvision's names of published weights, and the head that takes each."""
    return {name: head for head in _own().values() for name in head.published}


@cache
def _own() -> dict[str, type[HeadSettings]]:
    return attributes_by_name("tasks.heads", "Head")


@cache
def _packages() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=_PLUGINS):
        found.setdefault(entry.name, []).append(entry)
    return found


@cache
def _usable() -> dict[str, type[HeadSettings]]:
    heads = dict(_own())
    for name in _packages():
        try:
            heads[name] = _packaged(name)
        except SettingsError:  # said to whoever asks for this one
            heads.pop(name, None)
    return heads


def _packaged(name: str) -> type[HeadSettings]:
    """The head that an installed package adds under this name.

    Raises:
        SettingsError: it cannot be imported, is no head, or the name is taken.
    """
    entries = _packages()[name]
    places = [entry.value for entry in entries] + (["vertebra"] if name in _own() else [])
    if len(places) > 1:
        raise SettingsError(f"head.name: {name!r} is in several packages ({', '.join(places)}); uninstall the others")
    try:
        head = entries[0].load()
    except (Exception, SystemExit) as error:  # whatever a foreign package raises
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SettingsError(f"head.name: {name!r}: {places[0]} cannot be imported: {reason}") from error
    if problem := _problem(head, name):
        raise SettingsError(f"head.name: {name!r}: {places[0]} is no head: {problem}")
    return head


def _problem(head: Any, name: str) -> str:
    """What keeps something from being a head; an empty string for nothing."""
    if not (isinstance(head, type) and issubclass(head, HeadSettings)):
        return "it is no subclass of tasks.config.HeadSettings"
    if head.kind() != name:
        return f"its name is {head.kind()!r}"
    if head.task not in DEFAULT_HEADS:
        return f"its task is {head.task!r} (known: {', '.join(DEFAULT_HEADS)})"
    if missing := [said for said in _SAID_BY_A_HEAD if not hasattr(head, said)]:
        return f"it does not say its {missing[0]}"
    if required := [setting for setting, field in head.model_fields.items() if field.is_required()]:
        return f"its setting {required[0]!r} has no default"
    return "it has no build" if head.build is HeadSettings.build else ""
