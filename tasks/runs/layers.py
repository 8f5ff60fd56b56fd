"""The settings of a run: the defaults, under a file, under what was asked for. Imports no torch."""

import contextlib
import os
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tasks.config import (
    DEFAULT_OPTIMIZER,
    DEFAULT_SCHEDULE,
    SHAPES,
    TASKS,
    Group,
    HeadSettings,
    NamedGroup,
    Settings,
    SettingsError,
    UnusedError,
    data_settings,
    differences,
    find_recipe,
    get,
    merge,
    read_yaml,
    run_defaults,
    settings_for,
    without,
)
from tasks.heads import find_head, head_named, published_detectors
from tasks.training import convert_config, find_optimizer, find_schedule

FREE_ON_RESUME = {"config", "output", "resume", "resume_anyway", "save_every", "max_minutes", "device", "evaluator"}
FREE_ON_RESUME |= {"non_finite", "verify_freeze", "profile", "data.workers", "backbone.grad_checkpointing"}
_HOW = {"schedule.epochs": " with --weights RUN: this schedule's rates depend on the number of epochs"}
_NAMED = ("head", "optim", "schedule")


@dataclass(frozen=True)
class Layers:
    """What lies under the settings that were asked for.

    Attributes:
        kind: the settings of a run with this task, head, optimizer and schedule.
        data: what the run is on: shapes, or a folder.
        values: the defaults, or the resumed run's own settings, with the file's over them; not validated yet.
        left_out: a line each on what of the file is not for this head, optimizer or schedule.
        own_file: the config.yaml of the run to go on with.
    """

    kind: type[Settings]
    data: str
    values: dict[str, Any]
    left_out: tuple[str, ...] = ()
    own_file: Path | None = None

    def settle(self, values: Mapping[str, Any], asked: Collection[str]) -> Settings:
        """The settings with everything laid over, ready to run: paths spelled out, nothing against the resumed run.

        What the file has and what was asked for leaves no use for is left out; a line says so.

        Args:
            values: these with what was asked for over them.
            asked: the paths of that.

        Raises:
            SettingsError: something does not fit, or contradicts the run that is resumed.
        """
        settings, unused = self._validated(values, asked)
        for line in (*self.left_out, *unused):
            warnings.warn(line, stacklevel=3)
        settings = _absolute(settings)
        if self.own_file is not None:
            before = _absolute(self.kind(**_read(self.own_file)))
            for path in differences(before, settings):
                wanted, own = get(settings, path), get(before, path)
                if path in FREE_ON_RESUME or (path == "schedule.epochs" and settings.schedule.goes_on and wanted > own):
                    continue
                if not settings.resume_anyway:
                    raise _contradiction(path, wanted, own, self.own_file)
        return settings

    def _validated(self, values: Mapping[str, Any], asked: Collection[str]) -> tuple[Settings, list[str]]:
        lines: list[str] = []
        while True:
            try:
                return self.kind(**values), lines
            except UnusedError as error:
                if not asked or error.path in asked or self.own_file is not None or self._is_wrong_alone(error.path):
                    raise
                lines.append(f"left out of the file's settings: {error}")
                values = without(values, {error.path})

    def _is_wrong_alone(self, path: str) -> bool:
        """Whether the file itself leaves no use for a setting of its own."""
        try:
            self.kind(**self.values)
        except UnusedError as error:
            return error.path == path
        except SettingsError:
            return False
        return False


def lay_under(asked: Mapping[str, Any]) -> Layers:
    """Find what lies under the settings that were asked for.

    With `resume` that is what the run's own config.yaml says, and nothing may contradict it.

    Args:
        asked: nested, not validated. Of use here are what decides on the settings there are, and on their defaults:
            task, config, output, resume, data.path, and the names of the head, the optimizer and the schedule.

    Raises:
        SettingsError: a file or a name is wrong; one line.
    """
    file = _read(find_recipe(asked["config"])) if asked.get("config") else {}
    own_file = _own_file(asked, file)
    own = None
    if own_file is not None and own_file.is_file() and _has_last(own_file.parent):
        own = _read(own_file)
        _check_same_kinds(own, merge(file, asked), own_file)
    chosen = merge(own or {}, file)
    head = _choose_head(asked, chosen)
    data = _in_group(merge(chosen, asked), "data", "path") or SHAPES
    defaults = {"task": head.task} | run_defaults(head, data)
    base = defaults if own is None else own
    optimizer = find_optimizer(_chosen("optim", asked, file, base, defaults) or DEFAULT_OPTIMIZER)
    schedule = find_schedule(_chosen("schedule", asked, file, base, defaults) or DEFAULT_SCHEDULE)
    kinds = _kinds(head, optimizer, schedule)
    file, left_out = _fitted(file, kinds, defaults)
    base, _ = _fitted(base, kinds, defaults)
    return Layers(
        kind=settings_for(head, optimizer, schedule),
        data=str(data),
        values=merge(base, file),
        left_out=tuple(left_out),
        own_file=None if own is None else own_file,
    )


def _own_file(asked: Mapping[str, Any], file: Mapping[str, Any]) -> Path | None:
    """The config.yaml of the run to resume, or None where there is nothing to resume."""
    if not _is_true(asked.get("resume", file.get("resume", False))):
        return None
    output = asked.get("output") or file.get("output")
    if not output:
        raise SettingsError("--resume: needs --output, the folder of the run to go on with")
    return Path(os.path.expanduser(str(output))) / "config.yaml"


def _has_last(run: Path) -> bool:
    return any((run / name).is_dir() for name in ("last", "last.old"))


def _is_true(value: Any) -> bool:
    """As pydantic reads it: also 'off' and 'no'; what is neither is refused with the other settings."""
    try:
        return TypeAdapter(bool).validate_python(value)
    except ValidationError:
        return False


def _choose_head(asked: Mapping[str, Any], chosen: Mapping[str, Any]) -> type[HeadSettings]:
    """The head that was asked for, or the file's; another task than the file's goes with that task's own head."""
    own = chosen.get("task", _task_of(_in_group(chosen, "head", "name")))
    task = asked.get("task") or chosen.get("task", "detection")
    name = _in_group(asked, "head", "name")
    other_task = bool(asked.get("task")) and asked["task"] != own
    return find_head(name if name is not None or other_task else _in_group(chosen, "head", "name"), task)


def _task_of(head: Any) -> str:
    """What a file that names a head and no task is for."""
    try:
        return head_named(head).task
    except SettingsError:
        return "detection"


def _chosen(group: str, *layers: Mapping[str, Any]) -> Any:
    """The name of a group's kind in the first layer which has one."""
    return next(filter(None, (_in_group(layer, group, "name") for layer in layers)), None)


def _kinds(head: type[HeadSettings], optimizer: type[NamedGroup], schedule: type[NamedGroup]) -> dict[str, type[Group]]:
    """The settings of each group; "" for those that are in none."""
    task = head.task
    return {"": TASKS[task], "data": data_settings(task), "head": head, "optim": optimizer, "schedule": schedule}


def _fitted(
    values: Mapping[str, Any], kinds: Mapping[str, type[Group]], defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Values for the kinds that won over their own. What only their own have is left out, and a learning rate, which
    belongs to its optimizer; a line for each says so.

    Args:
        defaults: what values are for where they do not name it.
    """
    own_task = values.get("task", _task_of(_in_group(values, "head", "name")) if "head" in values else defaults["task"])
    own: dict[str, type[Group]] = {}
    # What was overruled need not be known.
    with contextlib.suppress(SettingsError):
        own["head"] = find_head(_in_group(values, "head", "name"), own_task)
    with contextlib.suppress(SettingsError):
        own["optim"] = find_optimizer(_chosen("optim", values, defaults) or DEFAULT_OPTIMIZER)
    with contextlib.suppress(SettingsError):
        own["schedule"] = find_schedule(_chosen("schedule", values, defaults) or DEFAULT_SCHEDULE)
    if own_task in TASKS:
        own |= {"": TASKS[own_task], "data": data_settings(own_task)}
    task = kinds["head"].task  # type: ignore[attr-defined]
    fitted: dict[str, Any] = dict(values) | ({"task": task} if "task" in values else {})
    left_out: dict[str, list[str]] = {}
    lines = []
    for group, kind in kinds.items():
        written = fitted if not group else values.get(group)
        if not isinstance(written, Mapping) or own.get(group) is kind:
            continue
        its = own[group].model_fields if group in own else written
        foreign = [key for key in written if key in its and key not in kind.model_fields]
        if foreign:
            name = kind.kind() if issubclass(kind, NamedGroup) else task
            left_out.setdefault(name, []).extend(f"{group}.{key}".lstrip(".") for key in foreign)
        kept = {key: value for key, value in written.items() if key not in foreign}
        if not group:
            fitted = kept
            continue
        if group in _NAMED:
            kept["name"] = kind.kind()  # type: ignore[attr-defined]
        if group == "optim" and kept.pop("lr", None) is not None:
            name = _in_group(values, group, "name") or own[group].kind()  # type: ignore[attr-defined]
            lines.append(f"left out of the file's settings: optim.lr, which was for {name}")
        fitted[group] = kept
    texts = [
        f"{name} has no such settings, left out of the file's: {', '.join(paths)}" for name, paths in left_out.items()
    ]
    return fitted, texts + lines


def _check_same_kinds(own: Mapping[str, Any], wanted: Mapping[str, Any], own_file: Path) -> None:
    """Raise where another task, head, optimizer or schedule is asked for than a run's own."""
    for group in ("task", *_NAMED):
        path = group if group == "task" else f"{group}.name"
        before, now = (
            values.get("task") if group == "task" else _in_group(values, group, "name") for values in (own, wanted)
        )
        if None not in (before, now) and before != now:
            raise _contradiction(path, now, before, own_file)


def _contradiction(path: str, wanted: Any, before: Any, own_file: Path) -> SettingsError:
    return SettingsError(
        f"{path}: {wanted!r} contradicts {before!r} in {own_file}, which --resume goes on with; leave it out, or start "
        f"another --output{_HOW.get(path, '')}"
    )


def _read(file: Path) -> dict[str, Any]:
    return convert_config(read_yaml(file))


def _in_group(values: Mapping[str, Any], group: str, name: str) -> Any:
    content = values.get(group)
    return content.get(name) if isinstance(content, Mapping) else None


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
