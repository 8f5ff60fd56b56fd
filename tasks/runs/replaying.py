"""A step that was not finite, computed again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor, nn

from backbones import InputError
from tasks.assembly import task_from_settings
from tasks.config import Settings
from tasks.data import Batch
from tasks.runs.layers import lay_under
from tasks.task import Task
from tasks.training import autocast, find_device, read_replay


def replay(file: Path, device_name: str, console: Console) -> None:
    """Say which losses and weights are not finite, which layer is the first to give what is not, and what the same is
    in fp32.

    Args:
        file: that a training has left in its folder, `step-<number>.pt`.

    Raises:
        InputError: it is another kind of file, or no run's config.yaml lies beside it.
    """
    batch, weights, classes, step = read_replay(file)
    config = file.parent / "config.yaml"
    if not config.is_file():
        raise InputError(f"{config}: missing; a step is computed again with the settings of its run")
    layers = lay_under({"config": str(config)})
    settings = layers.settle(layers.values, ())
    settings = settings.model_copy(update={"backbone": settings.backbone.model_copy(update={"weights": None})})
    task, _ = task_from_settings(settings, classes)
    task.model.load_state_dict(weights)
    device = find_device(device_name)
    task.model.to(device).to(memory_format=torch.channels_last).train()
    console.print(f"{file}: step {step}, images {', '.join(batch.names)}")
    _print_weights(weights, console)
    for precision in dict.fromkeys([settings.precision, "fp32"]):
        _print_step(task, settings, batch.to(device), device, precision, console)


def _print_weights(weights: dict[str, Tensor], console: Console) -> None:
    broken = [name for name, value in weights.items() if not value.isfinite().all()]
    console.print(f"weights that are not finite: {', '.join(broken) or 'none'}")


def _print_step(
    task: Task, settings: Settings, batch: Batch, device: torch.device, precision: str, console: Console
) -> None:
    task.model.zero_grad()
    with _first_broken(task.model) as broken, autocast(device, precision):
        losses = task.losses(task.model, batch)
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    parts = ", ".join(f"{name} {loss.item():g}" for name, loss in losses.items())
    norm = torch.nn.utils.get_total_norm(
        [parameter.grad for parameter in task.model.parameters() if parameter.grad is not None]
    )
    console.print(f"{precision}: loss {total.item():g} ({parts}), gradient {norm.item():g}")
    console.print(f"{precision}: the first layer whose output is not finite: {broken[0] if broken else 'none'}")


@contextmanager
def _first_broken(model: nn.Module) -> Iterator[list[str]]:
    """The names of layers whose outputs are not finite, in the order in which they are computed."""
    found: list[str] = []
    handles = []
    for name, module in model.named_modules():
        if next(module.children(), None) is None:

            def look(_module: nn.Module, _inputs: object, output: object, name: str = name) -> None:
                if isinstance(output, Tensor) and not output.isfinite().all():
                    found.append(name)

            handles.append(module.register_forward_hook(look))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
