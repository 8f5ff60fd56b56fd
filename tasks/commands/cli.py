"""Flags into settings, and errors into one line and an exit code. Imports no torch."""

import argparse
import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import tyro
from rich.console import Console

from tasks.config import Group, NamedGroup, SettingsError, flag_model, given_paths, nearest_flag, without
from tasks.runs import called, plain_console
from tasks.training import wait_briefly

T = TypeVar("T", bound=Group)


def parse(kind: type[T], argv: Sequence[str], **options: Any) -> T:
    """Flags into an instance of `kind`; see `parse_values`."""
    return kind(**parse_values(kind, argv, **options))


def parse_values(
    kind: type[Group],
    argv: Sequence[str],
    *,
    command: str,
    description: str,
    example: str,
    below: Mapping[str, Any] | None = None,
    hidden: Collection[str] = (),
) -> dict[str, Any]:
    """Flags laid over what is below them, nested; each is checked by itself.

    Args:
        example: what may follow the command.
        below: what the flags are laid over, nested.
        hidden: paths of settings that are no flags.

    Raises:
        SettingsError: an unknown flag, or a value that does not fit; one line.
        SystemExit: --help was asked for.
    """
    flags = flag_model(kind, frozenset(hidden))
    options: dict[str, Any] = {}
    if below is not None:
        options["default"] = flags(**without(below, given_paths(argv, flags)))
    report = io.StringIO()
    wants_help = {"-h", "--help"} & set(argv)
    try:
        with contextlib.nullcontext() if wants_help else contextlib.redirect_stderr(report):
            given, unknown = tyro.cli(
                flags,
                prog=called(command),
                description=f"{description}\n\nExample: {called(command)} {example}",
                args=list(argv),
                return_unknown_args=True,
                **options,
            )
    except SystemExit as error:
        if not error.code:
            raise
        raise SettingsError(_unboxed(report.getvalue())) from None
    if unknown:
        raise SettingsError(_unknown_flag(unknown[0].split("=")[0], flags))
    return given.model_dump()


def early_flags(argv: Sequence[str]) -> dict[str, Any]:
    """What decides which settings there are, and their defaults."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ("--config", "--output", "--task"):
        parser.add_argument(name)
    parser.add_argument("--data", "--data.path")
    for group in ("head", "optim", "schedule"):
        parser.add_argument(f"--{group}", f"--{group}.name")
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=None)
    given = argparse.Namespace()
    with contextlib.suppress(argparse.ArgumentError):  # tyro has the better words for it
        parser.parse_known_args(argv, namespace=given)
    found = {name: value for name, value in vars(given).items() if value is not None}
    keys = {"data": "path", "head": "name", "optim": "name", "schedule": "name"}
    return {name: {keys[name]: value} if name in keys else value for name, value in found.items()}


def _unknown_flag(flag: str, kind: type[Group]) -> str:
    path = flag.lstrip("-").replace("-", "_")
    groups = {name: field.annotation for name, field in kind.model_fields.items()}
    group, refusal = groups.get(path.partition(".")[0]), "there is no such flag"
    if isinstance(group, type) and issubclass(getattr(group, "kind", group), NamedGroup):
        refusal = group.refusal()
    return f"{flag}: {refusal}{nearest_flag(flag, kind)}"


def _unboxed(report: str) -> str:
    """tyro's framed report as one line: without its frame, its title and its advice."""
    framed = [line.strip("│╭╮╰╯─ ") for line in report.splitlines()]
    text = " ".join(line for line in framed[1:] if line)
    return text.split(" Argument helptext:")[0].split(" For full helptext")[0]


def run_command(command: Callable[[Console], int]) -> int:
    """Run a command; what goes wrong becomes one line on stderr and an exit code.

    Returns:
        What the command returns; 1 where a training cannot go on, 2 for wrong input, 130 or 143 where
        a signal stopped it.
    """
    wait_briefly()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
    # torchrun numbers its processes; the first one speaks for all.
    console = plain_console(quiet=os.environ.get("RANK", "0") != "0")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_args, **_kwargs: console.print(f"warning: {message}")
        try:
            return _completed(command, console)
        except KeyboardInterrupt:
            return _fail("interrupted", 130)
        except SettingsError as error:
            return _fail(str(error), 2)
        except BrokenPipeError:
            sys.stderr.close()  # `--help | head`: the reader has gone, and with it the wish for a traceback
            return 0
        except Exception as error:
            code = _exit_code(error)
            if code is None:
                if _speaks():
                    raise
                return 1
            return _fail(str(error), code)


def _completed(command: Callable[[Console], int], console: Console) -> int:
    code = command(console)
    if "torch.distributed" in sys.modules:
        import torch.distributed as dist

        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
    return code


def _exit_code(error: Exception) -> int | None:
    # Late: these come with torch, which --help must not wait for.
    from backbones import InputError
    from tasks.data import WorkerError
    from tasks.training import Interrupted, OutOfTime, TrainingError

    if isinstance(error, InputError):
        return 2
    if isinstance(error, Interrupted):
        return error.exit_code
    if isinstance(error, OutOfTime):
        return 0
    return 1 if isinstance(error, (TrainingError, WorkerError)) else None


def _fail(message: str, code: int) -> int:
    if _speaks():
        print(" ".join(message.split()), file=sys.stderr)
    return code


def _speaks() -> bool:
    """Of several processes, the first that fails; before they have met, the one with the number 0."""
    if "torch.distributed" in sys.modules:
        import torch.distributed as dist

        if dist.is_available() and dist.is_initialized():
            from tasks.processes import speaks

            return speaks()
    return os.environ.get("RANK", "0") == "0"
