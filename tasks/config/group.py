"""A group of settings, and the names that messages give them."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import tyro
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tasks.config.names import as_group, nearest_setting

_DEVICE = re.compile(r"auto|[a-z]+(:\d+)?")

# A path as people write it: ~ is their home.
UserPath = Annotated[Path, AfterValidator(lambda path: Path(os.path.expanduser(path)))]
UserText = Annotated[str, Field(min_length=1), AfterValidator(os.path.expanduser)]


class SettingsError(Exception):
    """A setting cannot be used; the message is one line that names its path, its value and the cure.

    Not a ValueError: pydantic and tyro would wrap those in reports of their own.
    """


def _check_device(value: str) -> str:
    if not _DEVICE.fullmatch(value):
        raise SettingsError(f"device: {value!r}: wanted is auto, cpu, cuda, cuda:1 or mps")
    return value


DEVICE_HELP = "auto (a GPU where there is one), cpu, cuda, cuda:1, mps."
Device = Annotated[str, AfterValidator(_check_device), tyro.conf.arg(help=DEVICE_HELP)]


class UnusedError(SettingsError):
    """A setting can do nothing beside the others.

    Attributes:
        path: of the setting.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


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


def refuse_unused(group: Group, name: str, reason: str) -> None:
    """Raise where a setting that can do nothing here is not at its default."""
    if getattr(group, name) != type(group).model_fields[name].get_default(call_default_factory=True):
        raise UnusedError(f"{group.path_prefix}{name}", reason)


def _unknown_names(model: type[Any], values: Mapping[str, Any]) -> Iterator[tuple[str, type[Group]]]:
    """Paths that are not among the settings, and the group that lacks them."""
    for name, value in values.items():
        if name not in model.model_fields:
            yield f"{model.path_prefix}{name}", model
        elif (group := as_group(model.model_fields[name].annotation)) and isinstance(value, Mapping):
            yield from _unknown_names(group, value)


def _first_error(error: ValidationError, prefix: str) -> str:
    first = error.errors(include_url=False)[0]
    path = prefix + ".".join(str(part) for part in first["loc"])
    return f"{path}: {first['input']!r}: {first['msg']}"
