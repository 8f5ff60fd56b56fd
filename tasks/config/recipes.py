"""Recipes: files of settings worth beginning with, by name. They come along in the wheel."""

import os
from pathlib import Path

from backbones import nearest
from tasks.config.group import SettingsError

# In the wheel, and in a checkout.
_FOLDERS = (Path(__file__).parents[1] / "recipes", Path(__file__).parents[2] / "configs")


def list_recipes() -> list[str]:
    """detection/finetune, detection/shapes, ..."""
    folder = _folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob("*/*.yaml"))


def find_recipe(name: str) -> Path:
    """The file of a recipe's name; an existing path of that name wins.

    Raises:
        SettingsError: there is neither.
    """
    if not isinstance(name, str):
        raise SettingsError(f"config: {name!r}: wanted is a recipe's name, or the path of a file")
    path = Path(os.path.expanduser(name))
    if path.exists() and not path.is_dir():
        return path
    known = list_recipes()
    if name in known:
        return _folder() / f"{name}.yaml"
    raise SettingsError(
        f"config: {name!r}: neither a file nor a recipe{nearest(name, known)} (recipes: {', '.join(known)})"
    )


def _folder() -> Path:
    return next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])
