"""Import the names of a package when they are asked for: `--help` and wrong settings are answered without torch."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def hand_out(package: str, files: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package's `__init__`.

    Args:
        package: its `__name__`.
        files: file or room in the package -> the names that are handed out of it. Files themselves are found too.
    """
    file_of = {name: file for file, names in files.items() for name in names}

    def find(name: str) -> Any:
        if name in file_of:
            return getattr(import_module(f"{package}.{file_of[name]}"), name)
        if not name.startswith("_") and find_spec(f"{package}.{name}") is not None:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
