"""The settings of a training run: the defaults, under a file, under the flags. Imports no torch."""

import argparse
import contextlib
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


def parse_settings(argv: Sequence[str]) -> Settings:
    """The settings of a training run.

    With --resume, what the run's own config.yaml says stands, and nothing may contradict it.

    Raises:
        SettingsError: something does not fit; one line.
    """
    given = _early(argv)
    file = read_yaml(find_recipe(given.config)) if given.config else {}
    own_file = _own_file(given, file)
    own = read_yaml(own_file) if own_file is not None and own_file.is_file() else None
    chosen = merge(own or {}, file)
    head = find_head(given.head or chosen.get("head", {}).get("name"), given.task or chosen.get("task", "detection"))
    data = given.data or chosen.get("data", {}).get("path", SHAPES)
    base = {"task": head.task} | run_defaults(head, data) if own is None else _of_head(own, head)
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
        before = _absolute(kind(**base))
        changed = [path for path in differences(before, settings) if path not in _FREE_ON_RESUME]
        if changed:
            path = changed[0]
            raise SettingsError(
                f"{path}: {get(settings, path)!r} contradicts {get(before, path)!r} in {own_file}, "
                "which --resume goes on with; leave it out, or start another --output"
            )
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


def _of_head(values: Mapping[str, Any], head: type[HeadSettings]) -> dict[str, Any]:
    """A run's own settings without those of other heads, which older versions wrote too."""
    own = {
        name: value
        for name, value in values.get("head", {}).items()
        # An anchor scale of None meant the head's own.
        if name in head.model_fields and (name, value) != ("anchor_scale", None)
    }
    return dict(values) | {"head": own}


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
