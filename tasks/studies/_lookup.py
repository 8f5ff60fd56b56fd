"""Studies by name: a name is that of a file in this room, with hyphens."""

from functools import cache

from backbones import nearest
from tasks.config import SettingsError, attributes_by_name
from tasks.studies.study import StudySettings


def list_studies() -> list[str]:
    """The names, in alphabetical order."""
    return sorted(_all())


def find_study(name: str) -> type[StudySettings]:
    """The study of this name: its settings, and what it does.

    Raises:
        SettingsError: there is none.
    """
    spelled = name.replace("_", "-")
    if spelled not in _all():
        raise SettingsError(
            f"study: {name!r} is not known{nearest(spelled, _all())} (there are {', '.join(list_studies())})"
        )
    return _all()[spelled]


@cache
def _all() -> dict[str, type[StudySettings]]:
    return {name.replace("_", "-"): study for name, study in attributes_by_name("tasks.studies", "Study").items()}
