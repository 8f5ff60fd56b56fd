"""Settings in YAML, and settings compared."""

import re
from collections.abc import Collection, Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tasks.config.group import SettingsError
from tasks.config.names import setting_paths
from tasks.config.settings import Settings

# In YAML a scalar for a group means this field of it.
_SCALARS = {
    "data": "data.path",
    "backbone": "backbone.name",
    "head": "head.name",
    "optim": "optim.lr",
    "schedule": "schedule.epochs",
}
_NAMED = ("optim", "schedule")  # where a number is a rate or epochs, and a text the name


def read_yaml(path: Path) -> dict[str, Any]:
    """The nested mapping in a YAML file of settings, its shorthands spelled out.

    Numbers are those of YAML 1.2: 1e-4 is one, and 10:0 is a text.

    Raises:
        SettingsError: the file is missing, no YAML, or no mapping; it has a key twice, refers to itself, or names
            another file.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a safe one
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except RecursionError:
        raise SettingsError(f"{path}: not YAML: nested too deep") from None
    # Explicit tags, such as !!int abc, end in what Python says of the value.
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise SettingsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must hold settings as 'key: value' lines")
    try:
        named = {key: {"name": value} for key, value in content.items() if key in _NAMED and isinstance(value, str)}
        values = spell_out(content | named, str(path), _SCALARS)
    except RecursionError:
        raise SettingsError(f"{path}: an alias refers to what it stands in") from None
    if values.get("config") is not None:
        raise SettingsError(f"{path}: config: a file of settings cannot name another one")
    return values


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the numbers of YAML 1.2, and without keys that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            name = str(getattr(key, "value", key))
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} stands twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:int", lambda _loader, node: int(node.value))

_NUMBERS = {"tag:yaml.org,2002:int": r"[-+]?\d+", "tag:yaml.org,2002:float": r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?"}
_TEXTS = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")  # a date is a likely name of a folder
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (*_NUMBERS, *_TEXTS)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _pattern in _NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list("-+0123456789."))


def spell_out(content: Mapping[Any, Any], source: str, scalars: Mapping[str, str], prefix: str = "") -> dict[str, Any]:
    """Settings as people write them, dotted or nested, as nested ones.

    Args:
        source: what messages begin with.
        scalars: what a name means whose value is no group: its path.

    Raises:
        SettingsError: a setting stands twice, or a name is no path.
    """
    nested: dict[str, Any] = {}
    for key, value in content.items():
        head, dot, rest = str(key).replace("-", "_").partition(".")
        if dot and not (head and rest):
            raise SettingsError(f"{source}: {prefix}{key}: there is no such setting")
        if rest:
            value = {rest: value}
        elif not isinstance(value, Mapping) and not prefix and head in scalars:
            group, _, rest = scalars[head].partition(".")
            value = {} if value is None and head == group else {rest: value}
            head = group
        if isinstance(value, Mapping):
            value = spell_out(value, source, scalars, f"{prefix}{head}.")
        _add(nested, head, value, source, prefix)
    return nested


def _add(nested: dict[str, Any], key: str, value: Any, source: str, prefix: str) -> None:
    """Add what may have been spelt in another way before: save-every, optim.lr beside optim: {lr: ...}."""
    if key not in nested:
        nested[key] = value
    elif isinstance(nested[key], dict) and isinstance(value, dict):
        for inner, item in value.items():
            _add(nested[key], inner, item, source, f"{prefix}{key}.")
    else:
        raise SettingsError(f"{source}: the setting {prefix}{key} stands twice")


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` laid over it, group by group."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def without(values: Mapping[str, Any], paths: Collection[str], prefix: str = "") -> dict[str, Any]:
    """Nested values but for those at some paths."""
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            kept[key] = without(value, paths, f"{prefix}{key}.")
        elif f"{prefix}{key}" not in paths:
            kept[key] = value
    return kept


def differences(one: Settings, other: Settings) -> list[str]:
    """The paths of the settings in which two differ."""
    return [path for path in setting_paths(type(one)) if get(one, path) != get(other, path)]


def get(settings: Settings, path: str) -> Any:
    """The value at a setting's path."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value
