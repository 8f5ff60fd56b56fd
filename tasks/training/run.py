"""A run's folder: its settings, its log, its checkpoints, its end."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from backbones import InputError
from tasks.config import Settings
from tasks.training.checkpoint import recover

_OWN = ("config.yaml", "metrics.jsonl", "run.json", "best", "last")


class Run:
    """The files of one run.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.log = folder / "metrics.jsonl"
        self.summary = folder / "run.json"
        self.best = folder / "best"
        self.last = folder / "last"

    def start(self, settings: Settings) -> None:
        """Make the folder, with its settings and an empty log.

        Raises:
            InputError: the folder cannot be created.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            values = settings.model_dump(exclude={"config", "output", "resume"})
            _replace(self.config, yaml.safe_dump(values, sort_keys=False))
            _replace(self.log, "")
            self.summary.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written: {error.strerror}") from None

    def check_free(self) -> None:
        """Refuse to write over another run.

        Raises:
            InputError: the folder holds one.
        """
        if any((self.folder / name).exists() for name in _OWN):
            raise InputError(
                f"{self.folder}: holds another run; add --resume to go on with it, or give another --output"
            )

    def has_last(self) -> bool:
        recover(self.last)
        return self.last.is_dir()

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def keep_until(self, step: int) -> None:
        """Drop what the log holds of later steps: they are done again."""
        kept = []
        for line in self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []:
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except ValueError:
                break  # the line that was being written when the process was killed
        _replace(self.log, "".join(kept))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write run.json."""
        _replace(self.summary, json.dumps(summary, indent=1) + "\n")

    def read_summary(self) -> dict[str, Any]:
        """The content of run.json; empty while the run is under way."""
        try:
            return json.loads(self.summary.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)
