"""The settings of a training run: the defaults, under a file, under the flags. Imports no torch."""

import argparse
import contextlib
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tasks.commands.cli import parse
from tasks.config import (
    DEFAULT_OPTIMIZER,
    DEFAULT_SCHEDULE,
    SHAPES,
    HeadSettings,
    NamedGroup,
    Settings,
    SettingsError,
    differences,
    find_recipe,
    get,
    merge,
    read_yaml,
    run_defaults,
    settings_for,
)
from tasks.heads import find_head, list_heads, published_detectors
from tasks.training import convert_description, find_optimizer, find_schedule, list_optimizers, list_schedules

_FREE_ON_RESUME = {"config", "output", "resume", "save_every"}
# Settings of different heads, which a config.yaml from before heads had settings of their own holds together.
_OF_EVERY_HEAD = {"name", "rois_per_image", "v2", "decoder_channels", "deep_supervision"}


def parse_settings(argv: Sequence[str]) -> Settings:
    """The settings of a training run.

    With --resume, what the run's own config.yaml says stands, and nothing may contradict it.

    Raises:
        SettingsError: something does not fit; one line.
    """
    given = _early(argv)
    file = _read(find_recipe(given.config)) if given.config else {}
    own_file = _own_file(given, file)
    own = None
    if own_file is not None and own_file.is_file():
        own = _read(own_file)
        _check_same_kinds(own, given, file, own_file)
    head = _choose_head(given, merge(own or {}, file))
    data = given.data or merge(own or {}, file).get("data", {}).get("path", SHAPES)
    defaults = {"task": head.task} | run_defaults(head, data)
    base = defaults if own is None else own
    optimizer = find_optimizer(_chosen("optim", given.optim, file, base, defaults) or DEFAULT_OPTIMIZER)
    schedule = find_schedule(_chosen("schedule", given.schedule, file, base, defaults) or DEFAULT_SCHEDULE)
    kinds: dict[str, type[NamedGroup]] = {"head": head, "optim": optimizer, "schedule": schedule}
    file, left_out = _for_kinds(file, kinds, defaults)
    if not {"-h", "--help"} & set(argv):
        for line in left_out:
            warnings.warn(line, stacklevel=2)
    base, _ = _for_kinds(base, kinds, defaults)
    kind = settings_for(head, optimizer, schedule)
    settings = parse(
        kind,
        argv,
        command="train",
        description="Train a model; the run's folder holds its settings, log, checkpoints and metrics. "
        f"Heads of {head.task}: {', '.join(list_heads(head.task))}. Optimizers: {', '.join(list_optimizers())}. "
        f"Schedules: {', '.join(list_schedules())}.",
        default=kind(**merge(base, file)),
    )
    settings = _absolute(settings)
    if own is not None:
        before = _absolute(kind(**own))
        changed = [path for path in differences(before, settings) if path not in _FREE_ON_RESUME]
        if changed:
            raise _contradiction(changed[0], get(settings, changed[0]), get(before, changed[0]), own_file)
    return settings


def _early(argv: Sequence[str]) -> argparse.Namespace:
    """What decides which settings there are, and their defaults."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config")
    parser.add_argument("--output")
    parser.add_argument("--task")
    parser.add_argument("--data", "--data.path")
    parser.add_argument("--head", "--head.name")
    parser.add_argument("--optim", "--optim.name")
    parser.add_argument("--schedule", "--schedule.name")
    parser.add_argument("--resume", action="store_true")
    given = argparse.Namespace(
        config=None, output=None, task=None, data=None, head=None, optim=None, schedule=None, resume=False
    )
    with contextlib.suppress(argparse.ArgumentError):  # tyro has the better words for it
        parser.parse_known_args(argv, namespace=given)
    return given


def _own_file(given: argparse.Namespace, file: Mapping[str, Any]) -> Path | None:
    """The config.yaml of the run to resume, or None where there is nothing to resume."""
    if not (given.resume or _is_true(file.get("resume", False))):
        return None
    output = given.output or file.get("output")
    if not output:
        raise SettingsError("--resume: needs --output, the folder of the run to go on with")
    return Path(os.path.expanduser(str(output))) / "config.yaml"


def _is_true(value: Any) -> bool:
    """As pydantic reads it: also 'off' and 'no'; what is neither is refused with the other settings."""
    try:
        return TypeAdapter(bool).validate_python(value)
    except ValidationError:
        return False


def _choose_head(given: argparse.Namespace, chosen: Mapping[str, Any]) -> type[HeadSettings]:
    """The head that the flags name, or the file; a flag for another task goes with that task's own head."""
    task = given.task or chosen.get("task", "detection")
    other_task = given.task is not None and given.task != chosen.get("task", given.task)
    name = None if other_task else _name_in(chosen, "head")
    return find_head(name if given.head is None else given.head, task)


def _chosen(group: str, flag: str | None, *layers: Mapping[str, Any]) -> Any:
    """The name of a group's kind: the flag's, else that of the first layer which has one."""
    return flag if flag is not None else next(filter(None, (_name_in(layer, group) for layer in layers)), None)


def _for_kinds(
    values: Mapping[str, Any], kinds: Mapping[str, type[NamedGroup]], defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Values for the head, optimizer and schedule that won over their own. What only their own has is left out, and a
    learning rate, which belongs to its optimizer; a line for each says so.

    Args:
        defaults: what values are for where they do not name it.
    """
    fitted: dict[str, Any] = dict(values)
    if "task" in values:
        fitted["task"] = kinds["head"].task  # type: ignore[attr-defined]
    lines = []
    for group, kind in kinds.items():
        given, own = values.get(group), _own_kind(group, values, defaults)
        if not isinstance(given, Mapping) or own is kind:
            continue
        foreign = [key for key in given if key in own.model_fields and key not in kind.model_fields]
        if foreign:
            paths = ", ".join(f"{group}.{key}" for key in foreign)
            lines.append(f"{kind.kind()} has no such settings, left out of the file's: {paths}")
        if "lr" in given:
            lines.append(f"left out of the file's settings: {group}.lr, which was for {own.kind()}")
        kept = {key: value for key, value in given.items() if key not in (*foreign, "lr")}
        fitted[group] = kept | {"name": kind.kind()}
    return fitted, lines


def _own_kind(group: str, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> type[NamedGroup]:
    """The head, optimizer or schedule that values were written for."""
    if group == "head":
        return find_head(_name_in(values, group), values.get("task", defaults["task"]))
    name = _name_in(values, group) or _name_in(defaults, group)
    return find_optimizer(name or DEFAULT_OPTIMIZER) if group == "optim" else find_schedule(name or DEFAULT_SCHEDULE)


def _check_same_kinds(
    own: Mapping[str, Any], given: argparse.Namespace, file: Mapping[str, Any], own_file: Path
) -> None:
    """Raise where flags or a file ask for another task, head, optimizer or schedule than a run's own."""
    wanted = {
        "task": given.task or file.get("task"),
        "head.name": given.head or _name_in(file, "head"),
        "optim.name": given.optim or _name_in(file, "optim"),
        "schedule.name": given.schedule or _name_in(file, "schedule"),
    }
    for path in wanted:
        group, _, name = path.partition(".")
        before = _name_in(own, group) if name else own.get(group)
        if None not in (wanted[path], before) and wanted[path] != before:
            raise _contradiction(path, wanted[path], before, own_file)


def _contradiction(path: str, wanted: Any, before: Any, own_file: Path | None) -> SettingsError:
    return SettingsError(
        f"{path}: {wanted!r} contradicts {before!r} in {own_file}, which --resume goes on with; leave it out, or start "
        "another --output"
    )


def _read(file: Path) -> dict[str, Any]:
    """A file's settings; a config.yaml from before formats, which holds those of all heads, is converted."""
    values = read_yaml(file)
    head = values.get("head")
    if not isinstance(head, Mapping) or not head.keys() >= _OF_EVERY_HEAD:
        return values
    return values | {"head": convert_description({"head": head}, file)["head"]}


def _name_in(values: Mapping[str, Any], group: str) -> Any:
    content = values.get(group)
    return content.get("name") if isinstance(content, Mapping) else None


def _absolute(settings: Settings) -> Settings:
    """With the paths spelled out, so that the run can be repeated from any folder."""
    data, backbone = settings.data, settings.backbone
    changes: dict[str, Any] = {}
    if data.path != SHAPES:
        changes = {"path": _resolved(data.path), "also": tuple(map(_resolved, data.also))}
    if Path(data.augment).suffix in (".yaml", ".yml"):
        changes["augment"] = _resolved(data.augment)
    weights = Path(backbone.weights or "")
    named = backbone.weights in (None, "imagenet", *published_detectors())
    if not named and (weights.exists() or weights.suffix):
        backbone = backbone.model_copy(update={"weights": str(weights.resolve())})
    return settings.model_copy(update={"data": data.model_copy(update=changes), "backbone": backbone})


def _resolved(path: str) -> str:
    return str(Path(path).resolve())
