"""Flags into settings, and errors into one line and an exit code. Imports no torch."""

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

from tasks.config import Group, NamedGroup, SettingsError, nearest_flag

T = TypeVar("T", bound=Group)


def called(command: str) -> str:
    """One of our commands as whoever called this one would call it: tools/doctor.py, or vertebra doctor."""
    script = Path(sys.argv[0])
    sibling = script.with_name(f"{command}.py") if script.suffix == ".py" else script
    return str(sibling) if sibling.suffix == ".py" and sibling.is_file() else f"vertebra {command}"


def parse(kind: type[T], argv: Sequence[str], *, command: str, description: str, default: T | None = None) -> T:
    """Flags into an instance of `kind`.

    Raises:
        SettingsError: an unknown flag, or a value that does not fit; one line.
        SystemExit: --help was asked for.
    """
    report = io.StringIO()
    options: dict[str, Any] = {} if default is None else {"default": default}
    wants_help = {"-h", "--help"} & set(argv)
    try:
        with contextlib.nullcontext() if wants_help else contextlib.redirect_stderr(report):
            settings, unknown = tyro.cli(
                kind,
                prog=called(command),
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
        raise SettingsError(_unknown_flag(unknown[0].split("=")[0], kind))
    return settings


def _unknown_flag(flag: str, kind: type[Group]) -> str:
    path = flag.lstrip("-").replace("-", "_")
    groups = {name: field.annotation for name, field in kind.model_fields.items()}
    group, refusal = groups.get(path.partition(".")[0]), "there is no such flag"
    if isinstance(group, type) and issubclass(group, NamedGroup):
        refusal = group.refusal()
    return f"{flag}: {refusal}{nearest_flag(flag, kind)}"


def _unboxed(report: str) -> str:
    """tyro's framed report as one line: without its frame, its title and its advice."""
    framed = [line.strip("│╭╮╰╯─ ") for line in report.splitlines()]
    text = " ".join(line for line in framed[1:] if line)
    return text.split(" Argument helptext:")[0].split(" For full helptext")[0]


def plain_console(**options: Any) -> Console:
    """A console that prints paths and names of classes as they are, brackets and colons too."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True, **options)


def run_command(command: Callable[[Console], int]) -> int:
    """Run a command; what goes wrong becomes one line on stderr and an exit code.

    Returns:
        What the command returns; 1 where a training cannot go on, 2 for wrong input, 130 or 143 where
        a signal stopped it.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
    # torchrun numbers its processes; the first one speaks for all.
    console = plain_console(quiet=os.environ.get("RANK", "0") != "0")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_args, **_kwargs: console.print(f"warning: {message}")
        try:
            return command(console)
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
                raise
            return _fail(str(error), code)


def _exit_code(error: Exception) -> int | None:
    # Late: these come with torch, which --help must not wait for.
    from backbones import InputError
    from tasks.training import Interrupted, TrainingError

    if isinstance(error, InputError):
        return 2
    if isinstance(error, Interrupted):
        return error.exit_code
    return 1 if isinstance(error, TrainingError) else None


def _fail(message: str, code: int) -> int:
    print(" ".join(message.split()), file=sys.stderr)
    return code
