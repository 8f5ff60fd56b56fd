"""Where a model's weights come from: what it was trained on, and what it began with, back to the first."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backbones import InputError
from tasks.config import Settings
from tasks.training import WEIGHTS, checkpoint_folder, read_description


def lineage_of(settings: Settings) -> dict[str, Any]:
    """What model.json says of a model's past.

    Returns:
        data, epochs and seed of its training; weights, what it began with, and their sha256 where they are a file;
        and in `before` the same of the run that these are of.
    """
    name = settings.backbone.weights
    found = {"data": settings.data.path, "epochs": settings.schedule.epochs, "seed": settings.seed, "weights": name}
    file, description = _origin(name)
    if file is not None:
        found["sha256"] = _digest(file)
    if description is not None:
        kept = {key: description[key] for key in ("task", "epoch", "step") if key in description}
        found["before"] = kept | dict(description.get("lineage", {}))
    return found


def _origin(name: str | None) -> tuple[Path | None, Mapping[str, Any] | None]:
    """The file that weights are in, and the description of the run that they are of."""
    path = Path(name or "")
    if name is None or not path.exists():
        return None, None
    if path.is_file() and path.name != WEIGHTS:
        return path, None
    try:
        folder = checkpoint_folder(path if path.is_dir() else path.parent)
        return folder / WEIGHTS, read_description(folder)
    except InputError:  # a file of this name that is no run's
        return (path, None) if path.is_file() else (None, None)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
