"""A run's folder: its settings, its log, its checkpoints, its end."""

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor, nn

from backbones import InputError
from tasks.config import Settings
from tasks.training.checkpoint import TrainingState, recover, save_checkpoint
from tasks.training.stopping import TrainingError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_OWN = ("config.yaml", "metrics.jsonl", "run.json", "best", "last", "profile.txt", "trace.json")


class Run:
    """The files of one run.

    Args:
        folder: where they lie.
        writes: whether this process does; of several, one.
    """

    def __init__(self, folder: Path, *, writes: bool = True) -> None:
        self.folder = folder
        self.writes = writes
        self._held: int | None = None
        self.config = folder / "config.yaml"
        self.augmentation = folder / "augmentation.yaml"
        self.lock = folder / ".lock"
        self.log = folder / "metrics.jsonl"
        self.summary = folder / "run.json"
        self.best = folder / "best"
        self.last = folder / "last"

    def take(self) -> None:
        """Hold the folder, which is made where there is none, so that no other process trains into it until `release`,
        or until this process ends, however that comes about.

        Raises:
            InputError: another process has it, or it cannot be made or written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock()
        except BlockingIOError:
            raise InputError(f"{self.folder}: another process trains into it; wait, or give another --output") from None
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written to: {error.strerror}") from None

    def _lock(self) -> None:
        while True:
            held = os.open(self.lock, os.O_RDWR | os.O_CREAT)
            if fcntl is None:
                break
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(held)
                raise
            except OSError as error:
                os.close(held)
                warnings.warn(
                    f"{self.folder}: cannot be locked ({error.strerror}): see that no other process trains into it",
                    stacklevel=4,
                )
                return
            if self.lock.exists() and os.path.samestat(os.fstat(held), self.lock.stat()):
                break
            os.close(held)  # its owner has removed it in between
        self._held = held
        # Processes that read images are forked and would hold it too, perhaps longer than this one lives.
        os.register_at_fork(after_in_child=self._let_go)

    def _let_go(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def release(self) -> None:
        """Let go of the folder; one that has stayed empty is removed."""
        if not self.writes:
            return
        if self._held is not None:
            self.lock.unlink(missing_ok=True)
            self._let_go()
        with contextlib.suppress(OSError):  # it holds something
            self.folder.rmdir()

    def start(self, settings: Settings) -> None:
        """Write the settings and an empty log.

        Raises:
            InputError: the folder cannot be written to.
        """
        if not self.writes:
            return
        self.configure(settings)
        own = Path(settings.data.augment)
        try:
            self.augmentation.unlink(missing_ok=True)
            if own.is_file():
                shutil.copyfile(own, self.augmentation)
            _replace(self.log, "")
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written to: {error.strerror}") from None

    def configure(self, settings: Settings) -> None:
        """Write the settings; the run is under way, and its end is no longer known.

        Raises:
            InputError: the folder cannot be written to.
        """
        if not self.writes:
            return
        values = settings.model_dump(exclude={"config", "output", "resume", "resume_anyway"})
        try:
            _replace(self.config, yaml.safe_dump(values, sort_keys=False))
            self.summary.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written to: {error.strerror}") from None

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
        recover(self.best)
        return self.last.is_dir()

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line to the log.

        Raises:
            TrainingError: it cannot be written.
        """
        if not self.writes:
            return
        try:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise TrainingError(f"{self.log}: cannot be written: {error.strerror}; last/ is as it was") from None

    def keep_until(self, step: int, validate_first: bool = False) -> None:
        """Drop what the log holds of later steps, or of that step's validation: they are done again."""
        if not self.writes:
            return
        kept = []
        for line in self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []:
            try:
                record = json.loads(line)
            except ValueError:
                break  # the line that was being written when the process was killed
            again = validate_first and record["split"] == "val" and record["step"] == step
            if record["step"] <= step and not again:
                kept.append(line + "\n")
        try:
            _replace(self.log, "".join(kept))
        except OSError as error:
            raise TrainingError(f"{self.log}: cannot be written: {error.strerror}; last/ is as it was") from None

    def save(
        self, folder: Path, model: nn.Module, description: Mapping[str, Any], state: TrainingState | None = None
    ) -> None:
        """Write a checkpoint; see `save_checkpoint`. Of several processes, the one that writes calls this."""
        needed = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
        if state is not None:
            needed += sum(tensor.numel() * tensor.element_size() for tensor in _tensors(vars(state)))
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            kept = f"; {folder.name}/ is as it was" if folder.exists() else ""
            raise TrainingError(f"{folder}: needs {needed / 1e6:.0f} MB and has {free / 1e6:.0f} MB of disk{kept}")
        save_checkpoint(folder, model, description, state)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write run.json, if that is possible: the disk may be what is full."""
        if self.writes:
            with contextlib.suppress(OSError):
                _replace(self.summary, json.dumps(summary, indent=1) + "\n")

    def read_summary(self) -> dict[str, Any]:
        """The content of run.json; empty while the run is under way."""
        try:
            return json.loads(self.summary.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def _tensors(value: Any) -> Iterator[Tensor]:
    """In a mapping of mappings and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from (tensor for inner in value.values() for tensor in _tensors(inner))
    elif isinstance(value, (list, tuple)):
        yield from (tensor for inner in value for tensor in _tensors(inner))


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
