"""Files that are found by their names: heads, formats, optimizers, schedules."""

import pkgutil
from importlib import import_module
from typing import Any


def attributes_by_name(room: str, attribute: str) -> dict[str, Any]:
    """What each file of a room has under this name, by the file's own; files without it are no matter.

    Args:
        room: a package, such as tasks.heads.
    """
    found = {}
    for module in pkgutil.iter_modules(import_module(room).__path__):
        content = vars(import_module(f"{room}.{module.name}"))
        if attribute in content and not module.name.startswith("_"):
            found[module.name] = content[attribute]
    return found
