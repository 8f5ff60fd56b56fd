"""`train`: settings in, a run's folder out."""

from collections.abc import Sequence

from rich.console import Console

from tasks.commands.cli import early_flags, parse_values, run_command
from tasks.config import SHAPES, Settings, given_paths
from tasks.heads import list_heads
from tasks.runs import Layers, lay_under
from tasks.training import list_optimizers, list_schedules


def main(argv: list[str]) -> int:
    return run_command(lambda console: _train(parse_settings(argv), console))


def _train(settings: Settings, console: Console) -> int:
    # Here, not above: torch takes seconds, and --help and wrong flags are answered without it.
    from pathlib import Path

    from tasks.runs import replay, train_run

    if settings.replay is not None:
        replay(Path(settings.replay), settings.device, console)
        return 0
    train_run(settings, console)
    return 0


def parse_settings(argv: Sequence[str]) -> Settings:
    """The settings of a training run.

    Raises:
        SettingsError: something does not fit; one line.
        SystemExit: --help was asked for.
    """
    layers = lay_under(early_flags(argv))
    task = layers.kind.model_fields["task"].default
    values = parse_values(
        layers.kind,
        argv,
        command="train",
        description=_description(layers, task),
        example=f"--task {task} --data DIR --weights imagenet --freeze 1-3 --output runs/mine",
        below=layers.values,
    )
    return layers.settle(values, given_paths(argv, layers.kind))


def _description(layers: Layers, task: str) -> str:
    head = layers.kind.model_fields["head"].default.name
    others = "" if layers.data != SHAPES else "; your own data has other defaults: --data DIR --help"
    return "\n\n".join(
        [
            "Train a model. The run's folder holds its settings, log, checkpoints and metrics.",
            f"Below are the settings of this very call: {task}, --head {head}, on {layers.data}{others}.",
            f"Heads of {task}: {', '.join(list_heads(task))}. Optimizers: {', '.join(list_optimizers())}. "
            f"Schedules: {', '.join(list_schedules())}.",
        ]
    )
