"""Checkpoints: a folder with model.safetensors and model.json, and in last/ what resuming needs.

A folder is written beside its place and renamed into it, so a reader finds the old one or the new one,
whole, whenever the process is killed.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from backbones import InputError
from tasks.training.conversion import FORMAT, convert_description, refuse_newer

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
TRAINING = "training.pt"


@dataclass
class TrainingState:
    """Where a run stands, besides the model's weights.

    Attributes:
        epoch: the epoch to go on with.
        batch: the batch in it to go on with.
        step: optimizer steps done.
        best: {"metrics", "epoch", "step"} of the best checkpoint, or None.
        seconds, train_seconds: spent so far, with and without validation.
        optimizer: its state dict.
        random: the generators' states.
        images: a digest of the training images' names.
        frozen: a digest of every frozen tensor as it was at the start, or None.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: dict[str, Any] | None = None
    seconds: float = 0.0
    train_seconds: float = 0.0
    optimizer: dict[str, Any] | None = None
    random: dict[str, Any] | None = None
    images: str | None = None
    frozen: dict[str, str] | None = None


def save_checkpoint(
    folder: Path, model: nn.Module, description: Mapping[str, Any], state: TrainingState | None = None
) -> None:
    """Write a checkpoint, atomically."""

    def fill(new: Path) -> None:
        # safetensors asks for the memory of what it is given, and not every device's tensors have one to give.
        weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
        save_file(weights, new / WEIGHTS)
        content = {"format": FORMAT, **description}
        (new / DESCRIPTION).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        if state is not None:
            torch.save({"format": FORMAT, **vars(state)}, new / TRAINING)

    _write_folder(folder, fill)


def load_weights_into(model: nn.Module, folder: Path) -> None:
    """Load a checkpoint's weights, strictly.

    Raises:
        InputError: they are missing, unreadable or not this model's.
    """
    path = folder / WEIGHTS
    try:
        weights: dict[str, Tensor] = load_file(path)
        model.load_state_dict(weights)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not a readable checkpoint: {error}") from None
    except RuntimeError as error:
        reason = str(error).splitlines()
        raise InputError(f"{path}: does not fit the model in {DESCRIPTION}: {' '.join(reason[1:2]).strip()}") from None


def read_description(folder: Path) -> dict[str, Any]:
    """The content of a checkpoint's model.json, converted where an older version wrote it.

    Raises:
        InputError: there is none, it cannot be read, or a newer version wrote it.
    """
    path = folder / DESCRIPTION
    try:
        return convert_description(json.loads(path.read_text(encoding="utf-8")), path)
    except FileNotFoundError:
        raise InputError(f"{folder}: not a checkpoint: it has no {DESCRIPTION}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def checkpoint_folder(run: str | Path) -> Path:
    """The checkpoint that `run` means: itself, or the best one of a run's folder.

    Raises:
        InputError: there is none.
    """
    run = Path(run)
    # best.old is what there is while best/ is being replaced, or if the process was killed just then.
    for folder in (run, run / "best", run / "best.old"):
        if (folder / "model.json").is_file():
            return folder
    raise InputError(f"{run}: neither a run's folder with best/ nor a checkpoint in one")


def read_state(folder: Path) -> TrainingState:
    """What resuming needs, from last/.

    Raises:
        InputError: it is missing or unreadable, or another version wrote it.
    """
    path = folder / TRAINING
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        written = content.pop("format", 0)
        if written == FORMAT:
            return TrainingState(**content)
    except Exception as error:  # torch.load's failures have no common class
        reason = str(error).splitlines()[:1]
        raise InputError(f"{path}: cannot be resumed from: {' '.join(reason)}") from None
    refuse_newer(written, path)
    raise InputError(
        f"{path}: has format {written}, this version resumes from format {FORMAT} alone: finish the run with the "
        f"version that began it, or start another with --weights {folder}"
    )


def recover(folder: Path) -> None:
    """Undo a write that was cut off between its two renames."""
    old = folder.with_name(f"{folder.name}.old")
    if old.exists() and not folder.exists():
        os.replace(old, folder)


def _write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    recover(folder)
    new, old = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    fill(new)
    for path in new.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)
