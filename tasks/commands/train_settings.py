"""The settings of a training run: the defaults, under a file, under the flags. Imports no torch."""

import argparse
import contextlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.commands.cli import parse
from tasks.config import (
    SHAPES,
    HeadSettings,
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
    file = _without_foreign_settings(read_yaml(find_recipe(given.config))) if given.config else {}
    own_file = _own_file(given, file)
    own = None
    if own_file is not None and own_file.is_file():
        own = _without_foreign_settings(read_yaml(own_file))
        _check_same_head(own, given, file, own_file)
    head = _choose_head(given, merge(own or {}, file))
    file = _for_head(file, head)
    data = given.data or merge(own or {}, file).get("data", {}).get("path", SHAPES)
    base = {"task": head.task} | run_defaults(head, data) if own is None else own
    kind = settings_for(head)
    settings = parse(
        kind,
        argv,
        command="train",
        description="Train a model; the run's folder holds its settings, log, checkpoints and metrics. "
        f"Heads of {head.task}: {', '.join(list_heads(head.task))}.",
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
    parser.add_argument("--resume", action="store_true")
    given = argparse.Namespace(config=None, output=None, task=None, data=None, head=None, resume=False)
    with contextlib.suppress(argparse.ArgumentError):  # tyro has the better words for it
        parser.parse_known_args(argv, namespace=given)
    return given


def _own_file(given: argparse.Namespace, file: Mapping[str, Any]) -> Path | None:
    """The config.yaml of the run to resume, or None where there is nothing to resume."""
    if not (given.resume or file.get("resume")):
        return None
    output = given.output or file.get("output")
    if not output:
        raise SettingsError("--resume: needs --output, the folder of the run to go on with")
    return Path(output) / "config.yaml"


def _choose_head(given: argparse.Namespace, chosen: Mapping[str, Any]) -> type[HeadSettings]:
    """The head that the flags name, or the file; a flag for another task goes with that task's own head."""
    task = given.task or chosen.get("task", "detection")
    other_task = given.task is not None and given.task != chosen.get("task", given.task)
    return find_head(given.head or (None if other_task else _head_name(chosen)), task)


def _for_head(file: Mapping[str, Any], head: type[HeadSettings]) -> dict[str, Any]:
    """A file's settings for the head that won over the file's own: what that one alone has is left out, and named."""
    values = dict(file) | ({"task": head.task} if "task" in file else {})
    if not isinstance(file.get("head"), Mapping):
        return values
    own = find_head(_head_name(file), file.get("task", head.task))
    if own is head:
        return values
    foreign = [key for key in file["head"] if key in own.model_fields and key not in head.model_fields]
    if foreign:
        left_out = ", ".join(f"head.{key}" for key in foreign)
        warnings.warn(f"{_name_of(head)} has no such settings, left out of the file's: {left_out}", stacklevel=2)
    kept = {key: value for key, value in file["head"].items() if key not in foreign}
    return values | {"head": kept | {"name": _name_of(head)}}


def _check_same_head(
    own: Mapping[str, Any], given: argparse.Namespace, file: Mapping[str, Any], own_file: Path
) -> None:
    """Raise where flags or a file ask for another task or head than a run's own."""
    wanted = {"task": given.task or file.get("task"), "head.name": given.head or _head_name(file)}
    for path, before in (("task", own.get("task")), ("head.name", _head_name(own))):
        if None not in (wanted[path], before) and wanted[path] != before:
            raise _contradiction(path, wanted[path], before, own_file)


def _contradiction(path: str, wanted: Any, before: Any, own_file: Path | None) -> SettingsError:
    return SettingsError(
        f"{path}: {wanted!r} contradicts {before!r} in {own_file}, which --resume goes on with; leave it out, or start "
        "another --output"
    )


def _without_foreign_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """A file's settings without those of other heads, which a run's config.yaml once held too."""
    head = values.get("head", {})
    if not isinstance(head, Mapping) or not head.keys() >= _OF_EVERY_HEAD:
        return dict(values)
    own = find_head(_head_name(values), values.get("task", "detection")).model_fields
    # An anchor scale of None meant the head's own.
    kept = {key: value for key, value in head.items() if key in own and (key, value) != ("anchor_scale", None)}
    return dict(values) | {"head": kept}


def _head_name(values: Mapping[str, Any]) -> Any:
    head = values.get("head")
    return head.get("name") if isinstance(head, Mapping) else None


def _name_of(head: type[HeadSettings]) -> str:
    return str(head.model_fields["name"].default)


def _absolute(settings: Settings) -> Settings:
    """With the paths spelled out, so that the run can be repeated from any folder."""
    data, backbone = settings.data, settings.backbone
    if data.path != SHAPES:
        also = tuple(str(Path(path).expanduser().resolve()) for path in data.also)
        data = data.model_copy(update={"path": str(Path(data.path).expanduser().resolve()), "also": also})
    weights = Path(backbone.weights or "").expanduser()
    named = backbone.weights in (None, "imagenet", *published_detectors())
    if not named and (weights.exists() or weights.suffix):
        backbone = backbone.model_copy(update={"weights": str(weights.resolve())})
    return settings.model_copy(update={"data": data, "backbone": backbone})
