"""The names of settings: their paths and flags, and the nearest to a wrong one."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def setting_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting's path: data.path, data.image_size, ..."""
    for name, field in model.model_fields.items():
        group = as_group(field.annotation)
        if group is None:
            yield f"{prefix}{name}"
        else:
            yield from setting_paths(group, f"{prefix}{name}.")


def nearest_setting(path: str, model: type[BaseModel]) -> str:
    """`"; did you mean data.workers?"`, or an empty string where nothing is near."""
    paths = list(setting_paths(model, getattr(model, "path_prefix", "")))
    leaves = {flag.lstrip("-").replace("-", "_"): known for flag, known in flag_paths(model).items() if "." not in flag}
    leaves |= {known.rsplit(".", 1)[-1]: known for known in paths}
    near_path = difflib.get_close_matches(path, paths, n=1, cutoff=0.8)
    near_leaf = difflib.get_close_matches(path.rsplit(".", 1)[-1], list(leaves), n=1, cutoff=0.7)
    matches = near_path or [leaves[leaf] for leaf in near_leaf]
    return f"; did you mean {matches[0]}?" if matches else ""


def nearest_flag(flag: str, model: type[BaseModel]) -> str:
    """`"; did you mean --backbone?"`, or an empty string where nothing is near; short flags count."""
    matches = difflib.get_close_matches(flag, list(flag_paths(model)), n=1, cutoff=0.75)
    if matches:
        return f"; did you mean {matches[0]}?"
    near = nearest_setting(flag.lstrip("-").replace("-", "_"), model)
    return near.replace("did you mean ", "did you mean --").replace("_", "-")


def flag_paths(model: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """Every flag, the short ones too, and the path of its setting: --data.image-size is data.image_size."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        if (group := as_group(field.annotation)) is not None:
            found |= flag_paths(group, f"{path}.")
            continue
        flags = [f"--{path}", *short_flags(field)]
        if field.annotation is bool:
            flags.append(f"--{prefix}no-{name}")
        found |= {flag.replace("_", "-"): path for flag in flags}
    return found


def short_flags(field: FieldInfo) -> list[str]:
    """--data of data.path; an empty list for most."""
    return [flag for item in field.metadata for flag in getattr(item, "aliases", None) or ()]


def given_paths(argv: Sequence[str], model: type[BaseModel]) -> set[str]:
    """The settings that flags name."""
    known = flag_paths(model)
    flags = (argument.partition("=")[0].replace("_", "-") for argument in argv)
    return {known[flag] for flag in flags if flag in known}


def as_group(annotation: Any) -> type[BaseModel] | None:
    """A field's annotation where it is a group of settings."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
