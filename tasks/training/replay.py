"""The batch of a step that was not finite, kept to be looked at."""

from pathlib import Path

import torch
from torch import nn

from backbones import InputError
from tasks.data import Batch
from tasks.processes import rank
from tasks.training.run import Run
from tasks.training.step import StepDone


def save_replay(run: Run, model: nn.Module, classes: tuple[str, ...], step: StepDone) -> Path | None:
    """Write this process's images of a step, with their targets and the weights that met them, if that is possible."""
    file = run.folder / (f"step-{step.step}.pt" if run.writes else f"step-{step.step}-process-{rank()}.pt")
    weights = {name: value.cpu() for name, value in model.state_dict().items()}
    content = {"step": step.step, "batch": vars(step.batch), "weights": weights, "classes": list(classes)}
    try:
        torch.save(content, file)
    except (OSError, RuntimeError):  # a full disk; what is to be said is said without it
        file.unlink(missing_ok=True)
        return None
    return file


def read_replay(file: Path) -> tuple[Batch, dict[str, torch.Tensor], tuple[str, ...], int]:
    """The batch, the weights, the classes, and which step it was.

    Raises:
        InputError: there is no such file, or it is another kind of file.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        return Batch(**content["batch"]), content["weights"], tuple(content["classes"]), content["step"]
    except Exception as error:  # torch.load's failures have no common class
        reason = str(error).splitlines()[:1]
        raise InputError(f"{file}: not a step that a training has kept: {' '.join(reason)}") from None
