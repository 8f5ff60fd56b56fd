"""Optimizers and schedules by name: a name is that of a file in their rooms."""

from functools import cache
from typing import TypeVar

from backbones import nearest
from tasks.config import OptimSettings, ScheduleSettings, SettingsError, attributes_by_name

Kind = TypeVar("Kind", bound=type[OptimSettings] | type[ScheduleSettings])


def list_optimizers() -> list[str]:
    return list(_optimizers())


def list_schedules() -> list[str]:
    return list(_schedules())


def find_optimizer(name: str) -> type[OptimSettings]:
    """The optimizer of this name.

    Raises:
        SettingsError: there is none.
    """
    return _find("optim.name", name, _optimizers())


def find_schedule(name: str) -> type[ScheduleSettings]:
    """The schedule of this name.

    Raises:
        SettingsError: there is none.
    """
    return _find("schedule.name", name, _schedules())


def _find(path: str, name: str, known: dict[str, Kind]) -> Kind:
    if not isinstance(name, str) or name not in known:
        raise SettingsError(f"{path}: {name!r} is not known{nearest(str(name), known)} (known: {', '.join(known)})")
    return known[name]


@cache
def _optimizers() -> dict[str, type[OptimSettings]]:
    return attributes_by_name("tasks.training.optimizers", "Optimizer")


@cache
def _schedules() -> dict[str, type[ScheduleSettings]]:
    return attributes_by_name("tasks.training.schedules", "Schedule")
