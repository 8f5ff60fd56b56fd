"""Flags into settings, and faults into one line and an exit code. Imports no torch."""

import argparse
import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro
from rich.console import Console

from tasks.config import (
    PUBLISHED_DETECTORS,
    SHAPES,
    Group,
    Settings,
    SettingsError,
    defaults,
    differences,
    get,
    merge,
    nearest_setting,
    read_yaml,
)

T = TypeVar("T", bound=Group)
_FREE_ON_RESUME = {"config", "output", "resume", "save_every"}


def parse(kind: type[T], argv: Sequence[str], *, command: str, description: str, default: T | None = None) -> T:
    """Flags into an instance of `kind`.

    Raises:
        SettingsError: an unknown flag, or a value that does not fit; one line.
        SystemExit: --help was asked for.
    """
    report = io.StringIO()
    options: dict[str, Any] = {} if default is None else {"default": default}
    helped = {"-h", "--help"} & set(argv)
    try:
        with contextlib.nullcontext() if helped else contextlib.redirect_stderr(report):
            settings, unknown = tyro.cli(
                kind,
                prog=command,
                description=description,
                args=list(argv),
                return_unknown_args=True,
                **options,
            )
    except SystemExit as error:
        if not error.code:
            raise
        raise SettingsError(_unboxed(report.getvalue())) from None
    if unknown:
        flag = unknown[0].split("=")[0]
        near = nearest_setting(flag.lstrip("-").replace("-", "_"), kind).replace("did you mean ", "did you mean --")
        raise SettingsError(f"{flag}: there is no such flag{near.replace('_', '-')}")
    return settings


def _unboxed(report: str) -> str:
    """tyro's framed report as one line: without its frame, its title and its advice."""
    framed = [line.strip("│╭╮╰╯─ ") for line in report.splitlines()]
    text = " ".join(line for line in framed[1:] if line)
    return text.split(" Argument helptext:")[0].split(" For full helptext")[0]


def parse_settings(argv: Sequence[str]) -> Settings:
    """The settings of a training run: the defaults, under the file of --config, under the flags.

    With --resume, what the run's own config.yaml says stands, and nothing may contradict it.

    Raises:
        SettingsError: something does not fit; one line.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--config", type=Path)
    early.add_argument("--output", type=Path)
    early.add_argument("--task")
    early.add_argument("--data", "--data.path")
    early.add_argument("--head", "--head.name")
    early.add_argument("--resume", action="store_true")
    given = argparse.Namespace(config=None, output=None, task=None, data=None, head=None, resume=False)
    with contextlib.suppress(argparse.ArgumentError):  # tyro has the better words for it
        early.parse_known_args(argv, namespace=given)
    file = read_yaml(given.config) if given.config else {}
    own: dict[str, Any] | None = None
    own_file = Path(given.output or file.get("output") or "") / "config.yaml"
    if given.resume or file.get("resume"):
        if own_file.parent == Path():
            raise SettingsError("--resume: needs --output, the folder of the run to go on with")
        if own_file.is_file():
            own = read_yaml(own_file)
    task = given.task or file.get("task", "detection")
    data = given.data or file.get("data", {}).get("path", SHAPES)
    base = own or {"task": task} | defaults(task, data, given.head or file.get("head", {}).get("name"))
    settings = parse(
        Settings,
        argv,
        command="train",
        description="Train a model; the run's folder holds its settings, log, checkpoints and metrics.",
        default=Settings(**merge(base, file)),
    )
    settings = _absolute(settings)
    if own is not None:
        before = _absolute(Settings(**own))
        changed = [path for path in differences(before, settings) if path not in _FREE_ON_RESUME]
        if changed:
            path = changed[0]
            raise SettingsError(
                f"{path}: {get(settings, path)!r} contradicts {get(before, path)!r} in {own_file}, "
                "which --resume goes on with; leave it out, or start another --output"
            )
    return settings


def _absolute(settings: Settings) -> Settings:
    """With the paths spelled out, so that the run can be repeated from any folder."""
    data, backbone = settings.data, settings.backbone
    if data.path != SHAPES:
        also = tuple(str(Path(path).expanduser().resolve()) for path in data.also)
        data = data.model_copy(update={"path": str(Path(data.path).expanduser().resolve()), "also": also})
    weights = Path(backbone.weights or "").expanduser()
    named = backbone.weights in (None, "imagenet", *PUBLISHED_DETECTORS)
    if not named and (weights.exists() or weights.suffix):
        backbone = backbone.model_copy(update={"weights": str(weights.resolve())})
    return settings.model_copy(update={"data": data, "backbone": backbone})


def guard(command: Callable[[Console], int]) -> int:
    """Run a command; what goes wrong becomes one line on stderr and an exit code.

    Returns:
        What the command returns; 1 where a training cannot go on, 2 for wrong input, 130 or 143 where
        a signal stopped it.
    """
    # torchrun numbers its processes; the first one speaks for all.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
    console = Console(highlight=False, soft_wrap=True, quiet=os.environ.get("RANK", "0") != "0")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_args, **_kwargs: console.print(f"warning: {message}", markup=False)
        try:
            return command(console)
        except KeyboardInterrupt:
            return _fault("interrupted", 130)
        except SettingsError as error:
            return _fault(str(error), 2)
        except BrokenPipeError:
            sys.stderr.close()  # `--help | head`: the reader has gone, and with it the wish for a traceback
            return 0
        except Exception as error:
            code = _exit_code(error)
            if code is None:
                raise
            return _fault(str(error), code)


def _exit_code(error: Exception) -> int | None:
    # Late: these come with torch, which --help must not wait for.
    from backbones import InputError
    from tasks.training.trainer import Interrupted, TrainingError

    if isinstance(error, InputError):
        return 2
    if isinstance(error, Interrupted):
        return error.exit_code
    return 1 if isinstance(error, TrainingError) else None


def _fault(message: str, code: int) -> int:
    print(" ".join(message.split()), file=sys.stderr)
    return code
