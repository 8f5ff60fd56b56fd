"""Settings as flags."""

from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import Field, create_model

from tasks.config.group import Group
from tasks.config.names import as_group, short_flags


class _Flags(Group):
    kind: ClassVar[type[Group]]  # that these are flags of

    @classmethod
    def refusal(cls) -> str:
        return cls.kind.refusal()


@cache
def flag_model(kind: type[Group], hidden: frozenset[str] = frozenset()) -> type[Group]:
    """The same settings, each with its own range but without what binds several: flags are laid over a file's values,
    and only together do they have to fit. Those with short flags come first and groups last, as --help lists them.

    Args:
        hidden: paths of those that are no flags.
    """
    fields: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        group = as_group(field.annotation)
        if name in hidden:
            continue
        if group is not None:
            inner = flag_model(group, frozenset(path.removeprefix(f"{name}.") for path in hidden))
            fields[name] = (inner, inner())
            continue
        default = ... if field.is_required() else field.get_default(call_default_factory=True)
        text = " ".join((field.description or "").split()) or None
        fields[name] = (Annotated[field.annotation, Field(description=text), *field.metadata], default)
    order = sorted(fields, key=lambda name: _position(kind, name))
    base = type("Flags", (_Flags,), {"kind": kind, "path_prefix": kind.path_prefix, "__module__": __name__})
    return create_model(kind.__name__, __base__=base, __doc__=kind.__doc__, **{name: fields[name] for name in order})


def _position(kind: type[Group], name: str) -> int:
    field = kind.model_fields[name]
    if as_group(field.annotation) is not None:
        return 2
    return 0 if short_flags(field) or field.is_required() else 1
