"""A group of settings, and the names that messages give them."""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

# A path as people write it: ~ is their home.
UserPath = Annotated[Path, AfterValidator(lambda path: Path(os.path.expanduser(path)))]
UserText = Annotated[str, AfterValidator(os.path.expanduser)]


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

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_booleans_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        if isinstance(value, bool) and field.annotation in (int, float, int | None, float | None):
            raise SettingsError(f"{cls.path_prefix}{info.field_name}: {value}: a number is wanted")
        return value

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


class NamedGroup(Group):
    """Settings of one of several kinds: a head, an optimizer, a schedule. A kind is a subclass with a name."""

    name: str = ""

    @classmethod
    def kind(cls) -> str:
        """The name of this kind."""
        return str(cls.model_fields["name"].default)

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        if self.name != self.kind():
            own = self.kind() or "no kind"
            raise SettingsError(f"{self.path_prefix}name: {self.name!r}: these are the settings of {own}")
        return self

    @classmethod
    def refusal(cls) -> str:
        return f"{cls.kind()} has no such setting (it has {', '.join(cls.model_fields)})"


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


def nearest_flag(flag: str, model: type[BaseModel]) -> str:
    """`"; did you mean --backbone?"`, or an empty string where nothing is near; short flags count."""
    matches = difflib.get_close_matches(flag, list(_flags(model)), n=1, cutoff=0.75)
    if matches:
        return f"; did you mean {matches[0]}?"
    near = nearest_setting(flag.lstrip("-").replace("-", "_"), model)
    return near.replace("did you mean ", "did you mean --").replace("_", "-")


def _flags(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if (group := _as_group(field.annotation)) is not None:
            yield from _flags(group, f"{prefix}{name}.")
            continue
        yield f"--{prefix}{name}".replace("_", "-")
        for item in field.metadata:  # tyro keeps the short flags there
            yield from getattr(item, "aliases", None) or ()


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
