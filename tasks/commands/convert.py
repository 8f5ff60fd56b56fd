"""`convert`: a data set of any layout, written as COCO, Pascal VOC, YOLO or folders of masks."""

from typing import Annotated, Literal

import tyro
from rich.console import Console

from tasks.commands.cli import parse, run_command
from tasks.config import Group, UserPath


class ConvertArguments(Group):
    """What to write, and where."""

    source: Annotated[UserPath, tyro.conf.Positional, tyro.conf.arg(metavar="IN")]
    """A folder of any layout that training takes."""
    target: Annotated[UserPath, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """A new folder, for the images too."""
    to: Literal["coco", "voc", "yolo", "masks"]
    """The format to write."""


def main(argv: list[str]) -> int:
    return run_command(lambda console: _convert(_parse(argv), console))


def _parse(argv: list[str]) -> ConvertArguments:
    return parse(
        ConvertArguments,
        argv,
        command="convert",
        description="Write a data set in another format.",
        example="photos/ photos-coco/ --to coco",
    )


def _convert(arguments: ConvertArguments, console: Console) -> int:
    from tasks.data import Findings, convert
    from tasks.runs import print_dropped

    findings = Findings()
    data, lost = convert(arguments.source, arguments.target, arguments.to, findings)
    console.print(f"{arguments.source}: {data}")
    print_dropped(data, console)
    for line in lost:
        console.print(f"warning: lost: {line}")
    console.print(f"{arguments.target}: written as {arguments.to}{'' if lost or data.dropped else ', nothing lost'}")
    return 0
