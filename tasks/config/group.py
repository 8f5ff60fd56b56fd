"""A group of settings, and the names that messages give them."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError


class SettingsError(Exception):
    """A setting cannot be used; the message is one line that names its path, its value and the cure.

    Not a ValueError: pydantic and tyro would wrap those in reports of their own.
    """


class Group(BaseModel):
    """Settings that belong together; `path_prefix` comes before their names in a path."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
    path_prefix: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        for path, group in _unknown_names(type(self), values):
            raise SettingsError(f"{path}: {group.refusal()}{nearest_setting(path, type(self))}")
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(_first_error(error, self.path_prefix)) from None

    @classmethod
    def refusal(cls) -> str:
        """What is said of a name that is not among these settings."""
        return "there is no such setting"


def setting_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting's path: data.path, data.image_size, ..."""
    for name, field in model.model_fields.items():
        group = _as_group(field.annotation)
        if group is None:
            yield f"{prefix}{name}"
        else:
            yield from setting_paths(group, f"{prefix}{name}.")


def nearest_setting(path: str, model: type[BaseModel]) -> str:
    """`"; did you mean data.workers?"`, or an empty string where nothing is near."""
    paths = list(setting_paths(model, getattr(model, "path_prefix", "")))
    leaves = {known.rsplit(".", 1)[-1]: known for known in paths}
    near_path = difflib.get_close_matches(path, paths, n=1, cutoff=0.8)
    near_leaf = difflib.get_close_matches(path.rsplit(".", 1)[-1], list(leaves), n=1, cutoff=0.7)
    matches = near_path or [leaves[leaf] for leaf in near_leaf]
    return f"; did you mean {matches[0]}?" if matches else ""


def _as_group(annotation: Any) -> type[Group] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, Group) else None


def _unknown_names(model: type[Group], values: Mapping[str, Any]) -> Iterator[tuple[str, type[Group]]]:
    """Paths that are not among the settings, and the group that lacks them."""
    for name, value in values.items():
        if name not in model.model_fields:
            yield f"{model.path_prefix}{name}", model
        elif (group := _as_group(model.model_fields[name].annotation)) and isinstance(value, Mapping):
            yield from _unknown_names(group, value)


def _first_error(error: ValidationError, prefix: str) -> str:
    first = error.errors(include_url=False)[0]
    path = prefix + ".".join(str(part) for part in first["loc"])
    return f"{path}: {first['input']!r}: {first['msg']}"
