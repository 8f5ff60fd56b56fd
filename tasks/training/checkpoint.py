"""Checkpoints: a folder with model.safetensors and model.json, and in last/ what resuming needs.

A folder is written beside its place and renamed into it, so a reader finds the old one or the new one,
whole, whenever the process is killed.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from backbones import InputError
from tasks.data import Fingerprint
from tasks.training.conversion import FORMAT, convert_description, refuse_newer
from tasks.training.stopping import TrainingError

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
TRAINING = "training.pt"
STATE_FORMAT = 2  # of the last of these


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
        random: the generators' states, of every process.
        scaler: of the loss, its state dict.
        average: the averaged weights, or None.
        accumulate: in how many parts a step's images are computed.
        validate_first: the epoch is trained, and not validated yet.
        data: of each split the images' names and a number for what is annotated on each.
        anyway: what was different at a resume and was not to matter.
        frozen: a digest of every frozen tensor as it was at the start, or None.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: dict[str, Any] | None = None
    seconds: float = 0.0
    train_seconds: float = 0.0
    optimizer: dict[str, Any] | None = None
    random: list[dict[str, Any]] | None = None
    scaler: dict[str, Any] | None = None
    average: dict[str, Any] | None = None
    accumulate: int = 1
    validate_first: bool = False
    data: dict[str, tuple[str, Tensor]] = field(default_factory=dict)
    anyway: list[str] = field(default_factory=list)
    frozen: dict[str, str] | None = None

    @classmethod
    def of(cls, data: Mapping[str, Fingerprint]) -> "TrainingState":
        """The beginning of a run on these images."""
        return cls(data={split: (one.names, torch.from_numpy(one.numbers)) for split, one in data.items()})

    def fingerprints(self) -> dict[str, Fingerprint]:
        return {split: Fingerprint(names, numbers.numpy()) for split, (names, numbers) in self.data.items()}


def save_checkpoint(
    folder: Path, model: nn.Module, description: Mapping[str, Any], state: TrainingState | None = None
) -> None:
    """Write a checkpoint, atomically.

    Raises:
        TrainingError: it cannot be written; the one that was there is as it was.
    """

    def fill(new: Path) -> None:
        # safetensors asks for the memory of what it is given, and not every device's tensors have one to give.
        weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
        save_file(weights, new / WEIGHTS)
        content = {"format": FORMAT, **description}
        (new / DESCRIPTION).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        if state is not None:
            torch.save({"format": STATE_FORMAT, **vars(state)}, new / TRAINING)

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
        if written == STATE_FORMAT:
            return TrainingState(**content)
    except Exception as error:  # torch.load's failures have no common class
        reason = str(error).splitlines()[:1]
        raise InputError(f"{path}: cannot be resumed from: {' '.join(reason)}") from None
    refuse_newer(written, path, STATE_FORMAT)
    raise InputError(
        f"{path}: has format {written}, this version resumes from format {STATE_FORMAT} alone: finish the run with the "
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
    try:
        new.mkdir(parents=True)
        fill(new)
        for path in new.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    except (OSError, SafetensorError, RuntimeError) as error:  # RuntimeError: torch.save's
        shutil.rmtree(new, ignore_errors=True)
        recover(folder)
        kept = "; the one before is as it was" if folder.exists() else ""
        raise TrainingError(f"{folder}: cannot be written: {_reason(error)}{kept}") from None
    shutil.rmtree(old, ignore_errors=True)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
