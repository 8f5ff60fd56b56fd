"""A group of settings, and the names that messages give them."""

import difflib
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError


class SettingsError(Exception):
    """A setting cannot be used; the message is one line that names its path, its value and the cure.

    Not a ValueError: pydantic and tyro would wrap those in reports of their own.
    """


class Group(BaseModel):
    """Settings that belong together; `path_prefix` comes before their names in a path."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)
    path_prefix: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(_explain(error, self)) from None


def setting_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting's path: data.path, data.image_size, ..."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_paths(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _explain(error: ValidationError, group: Group) -> str:
    from tasks.config.settings import Settings  # late: its groups are made of this one

    first = error.errors(include_url=False)[0]
    path = group.path_prefix + ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{path}: there is no such setting{nearest_setting(path, Settings)}"
    return f"{path}: {first['input']!r}: {first['msg']}"


def nearest_setting(path: str, model: type[BaseModel]) -> str:
    """`"; did you mean data.workers?"`, or an empty string where nothing is near."""
    paths = list(setting_paths(model))
    leaves = {known.rsplit(".", 1)[-1]: known for known in paths}
    near_path = difflib.get_close_matches(path, paths, n=1, cutoff=0.8)
    near_leaf = difflib.get_close_matches(path.rsplit(".", 1)[-1], list(leaves), n=1, cutoff=0.7)
    matches = near_path or [leaves[leaf] for leaf in near_leaf]
    return f"; did you mean {matches[0]}?" if matches else ""
