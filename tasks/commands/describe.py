"""`describe`: a backbone's stages, or a line for every registered one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import tyro
from pydantic import Field
from rich.console import Console
from rich.table import Table

from tasks.commands.cli import parse, run_command
from tasks.config import Group, SettingsError

if TYPE_CHECKING:
    from backbones import StageSummary


class DescribeArguments(Group):
    """What to describe."""

    backbone: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="BACKBONE")] = None
    """A registered name, or timm/<model>."""
    all: bool = False
    """A line for every registered backbone instead."""
    image_size: int = Field(224, ge=1)
    """Side of the square image in pixels."""
    in_channels: int = Field(3, ge=1)
    """Of the image."""
    output_stride: int = 32
    """8 or 16: the last stages dilated instead of strided."""


def main(argv: list[str]) -> int:
    return run_command(lambda console: _describe(_parse(argv), console))


def _parse(argv: list[str]) -> DescribeArguments:
    arguments = parse(
        DescribeArguments, argv, command="describe", description="A backbone, stage by stage.", example="resnet50"
    )
    if (arguments.backbone is None) != arguments.all:
        raise SettingsError("describe: name one backbone, such as resnet50, or give --all")
    return arguments


def _describe(arguments: DescribeArguments, console: Console) -> int:
    from backbones import describe_backbone, list_backbones

    options = {"in_channels": arguments.in_channels, "output_stride": arguments.output_stride}
    if arguments.backbone is not None:
        stages = describe_backbone(arguments.backbone, arguments.image_size, **options)
        console.print(_stages_table(arguments, stages))
        return 0
    title = f"{arguments.image_size} px, {arguments.in_channels} channels"
    table = _table(title, "backbone", "parameters", "MACs", "levels: channels / stride")
    for name in list_backbones():
        try:
            stages = describe_backbone(name, arguments.image_size, **options)
        except Exception as error:  # the others are still worth their line
            table.add_row(name, "-", "-", str(error))
            continue
        levels = ", ".join(f"{stage.level} {stage.shape[0]}/{stage.stride}" for stage in stages if stage.level)
        table.add_row(name, _parameters(stages), _macs(stages), levels)
    console.print(table)
    return 0


def _stages_table(arguments: DescribeArguments, stages: "Sequence[StageSummary]") -> Table:
    title = f"{arguments.backbone}, images of {arguments.in_channels} x {arguments.image_size} x {arguments.image_size}"
    table = _table(title, "stage", "level", "shape", "stride", "parameters", "MACs", "frozen up to here")
    for stage in stages:
        table.add_row(
            f"{stage.stage} (stem)" if stage.stage == 0 else str(stage.stage),
            stage.level or "-",
            " x ".join(map(str, stage.shape)) or "-",
            str(stage.stride or "-"),
            _parameters([stage]),
            _macs([stage]),
            f"{stage.frozen:.1%}",
        )
    table.add_row("all", "", "", "", _parameters(stages), _macs(stages), "", style="bold")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in ("parameters", "MACs", "stride") else "left")
    return table


def _parameters(stages: "Sequence[StageSummary]") -> str:
    return f"{sum(stage.parameters for stage in stages):,}"


def _macs(stages: "Sequence[StageSummary]") -> str:
    return f"{sum(stage.macs for stage in stages) / 1e9:.2f} G"
