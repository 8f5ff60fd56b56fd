"""`study`: a small experiment about residual networks, by its name."""

from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic import Field, create_model
from rich.console import Console
from rich.table import Table

from tasks.commands.cli import parse_values, run_command
from tasks.config import Group, SettingsError, UserPath
from tasks.runs import called
from tasks.studies import StudySettings, find_study, list_studies, run_study

_OUTPUT = Path("runs/studies")
_PLAIN = 1e3, 1e6  # between these a number is written out


def main(argv: list[str]) -> int:
    return run_command(lambda console: _study(argv, console))


def _study(argv: list[str], console: Console) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        _list(console)
        return 0
    if argv[0].startswith("-"):
        raise SettingsError(f"study: its name comes first (there are {', '.join(list_studies())})")
    name = argv[0].replace("_", "-")
    kind = find_study(name)
    values = _parse(name, kind, argv[1:])
    if (second := values.pop("study")) != name:
        raise SettingsError(f"study: one at a time: {name} or {second}")
    output = values.pop("output")
    study = kind(**values)
    console.print(f"claim: {kind.claim}")
    result = run_study(name, study, output, console.print)
    console.print(_table(name, result["rows"]))
    console.print(result["finding"])
    console.print(f"{result['machine']['seconds']:.0f} s; {output / name}.json and {output / name}.png")
    return 0


def _parse(name: str, kind: type[StudySettings], argv: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "study": (
            Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")],
            Field(name, description="Which study; without one they are listed."),
        ),
        "output": (UserPath, Field(_OUTPUT, description="The folder of NAME.json and NAME.png.")),
    }
    shown: type[Group] = create_model("StudyArguments", __base__=kind, __doc__=kind.__doc__, **fields)
    required = " ".join(
        f"--{field.replace('_', '-')} {field.upper()}"
        for field, info in kind.model_fields.items()
        if info.is_required()
    )
    example = " ".join(filter(None, (name, required, f"--output {_OUTPUT}")))
    return parse_values(shown, argv, command="study", description=f"Claim: {kind.claim}", example=example)


def _list(console: Console) -> None:
    command = called("study")
    console.print(f"usage: {command} NAME [OPTIONS]\n")
    for name in list_studies():
        console.print(f"  {name:<17}{find_study(name).claim}")
    console.print(f"\n{command} NAME --help shows a study's settings.\n\nExample: {command} gradient-flow --seeds 1")


def _table(name: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=name, title_justify="left")
    for column, value in rows[0].items():
        table.add_column(column, justify="right" if isinstance(value, (int, float)) else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if _PLAIN[0] <= abs(value) < _PLAIN[1] else f"{value:.3g}"
    return str(value)
