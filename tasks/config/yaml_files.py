"""Settings in YAML, and settings compared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tasks.config.group import SettingsError, setting_paths
from tasks.config.settings import Settings

# In YAML a scalar for a group means this field of it.
_SCALARS = {"data": "path", "backbone": "name", "head": "name", "optim": "lr", "schedule": "epochs"}


def read_yaml(path: Path) -> dict[str, Any]:
    """The nested mapping in a YAML file of settings, its shorthands spelled out.

    Raises:
        SettingsError: the file is missing, no YAML, or no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must hold settings as 'key: value' lines")
    return _spell_out(content)


def _spell_out(content: Mapping[Any, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in content.items():
        head, _, rest = str(key).replace("-", "_").partition(".")
        if rest:
            value = {rest: value}
        if isinstance(value, Mapping):
            value = _spell_out(value)
        elif head in _SCALARS:
            value = {_SCALARS[head]: value}
        nested = merge(nested, {head: value})
    return nested


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` laid over it, group by group."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def differences(one: Settings, other: Settings) -> list[str]:
    """The paths of the settings in which two differ."""
    return [path for path in setting_paths(type(one)) if get(one, path) != get(other, path)]


def get(settings: Settings, path: str) -> Any:
    """The value at a setting's path."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value
