"""The training loop. It knows no task: a model, named losses, and a metric that chooses the best."""

import hashlib
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from rich.console import Console
from torch import nn

from backbones import InputError, changed_tensors, frozen_digests
from tasks.config import Settings
from tasks.data import Batch, Loader
from tasks.task import Metric, Task
from tasks.training.checkpoint import TrainingState, load_weights_into, save_checkpoint
from tasks.training.parameters import make_optimizer
from tasks.training.progress import progress_bar
from tasks.training.run import Run

_PATIENCE = 5.0  # seconds between a signal to the loader's workers and the same one to the trainer


class TrainingError(RuntimeError):
    """The run cannot go on; the message is one line."""


class Interrupted(Exception):
    """A signal asked the run to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class Trainer:
    """Trains a task into a run's folder.

    Args:
        task: what to train.
        settings: of the run.
        run: the folder.
        description: model.json's content; the trainer adds the epoch and the step.
        accelerator: on the device to train on.
        console: where the progress goes.
    """

    def __init__(
        self,
        task: Task,
        settings: Settings,
        run: Run,
        description: Mapping[str, Any],
        accelerator: Accelerator,
        console: Console,
    ) -> None:
        self.task = task
        self.settings = settings
        self.run = run
        self.description = description
        self.console = console
        self.accelerator = accelerator
        self.state = TrainingState()
        task.model.to(self.accelerator.device).to(memory_format=torch.channels_last)
        optimizer = make_optimizer(task.model, settings.optim)
        self.model, self.optimizer = self.accelerator.prepare(task.model, optimizer)
        torch.manual_seed(settings.seed)

    def resume(self, state: TrainingState, train: Loader) -> None:
        """Take up where last/ stands; the log forgets what came after it.

        Args:
            state: read from last/.

        Raises:
            InputError: the training images are not those that the run began with.
        """
        if state.images != _digest(train):
            raise InputError(f"{self.run.last}: was trained on other images than the data has now; start another run")
        load_weights_into(self.task.model, self.run.last)
        self.state = state
        self.optimizer.load_state_dict(self.state.optimizer)
        _restore_random(self.state.random)
        self.run.keep_until(self.state.step)

    def fit(self, train: Loader, val: Loader) -> TrainingState:
        """Train to the end, validating after every epoch.

        Raises:
            TrainingError: the loss is not finite, or a frozen tensor changed.
            Interrupted: SIGINT or SIGTERM came; last/ is written, unless the loader's workers died first.
            InputError: an image cannot be read.
        """
        self.state.images = _digest(train)
        if self.settings.verify_freeze and self.state.frozen is None:
            self.state.frozen = frozen_digests(self.task.backbone)
        with _stop_signals() as stop:
            try:
                self._train_epochs(train, val, stop)
            except (RuntimeError, OSError, EOFError) as error:
                if isinstance(error, TrainingError):
                    raise
                # Where a SIGTERM goes to every process by itself, it ends the workers too, perhaps first; what they had
                # ready cannot be fetched then.
                patient_until = time.monotonic() + (_PATIENCE if self.settings.data.workers else 0)
                while not stop and time.monotonic() < patient_until:
                    time.sleep(0.1)
                if not stop:
                    raise
                raise Interrupted(stop[0]) from error
        if self.state.frozen is not None:
            self._verify_frozen(self.state.frozen)
        return self.state

    def _train_epochs(self, train: Loader, val: Loader, stop: list[int]) -> None:
        for epoch in range(self.state.epoch, self.settings.schedule.epochs):
            self._train_epoch(train, epoch, stop)
            self._validate(val, epoch)
            self.state = replace(self.state, epoch=epoch + 1, batch=0)
            self._save_last(epoch)
            if stop and epoch + 1 < self.settings.schedule.epochs:
                raise Interrupted(stop[0])

    def _train_epoch(self, loader: Loader, epoch: int, stop: list[int]) -> None:
        self.model.train()
        schedule, steps = self.settings.schedule, len(loader) * self.settings.schedule.epochs
        title = f"epoch {epoch + 1}/{schedule.epochs}"
        with progress_bar(self.console, title, steps, self.state.step) as bar:
            started = time.perf_counter()
            for batch in loader.batches(epoch, first_batch=self.state.batch):
                lr = schedule.rate(self.state.step, len(loader), self.settings.optim.lr)
                for group in self.optimizer.param_groups:
                    group["lr"] = lr
                with autocast(self.accelerator.device, self.settings.precision):
                    losses = self.task.losses(self.model, batch.to(self.accelerator.device))
                    loss = torch.stack(list(losses.values())).sum()
                value = loss.item()
                self._check_finite(value, "loss", batch)
                self.accelerator.backward(loss)
                norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.optim.clip_norm)
                self._check_finite(float(norm), "gradient", batch)
                self.optimizer.step()
                self.optimizer.zero_grad()

                now = time.perf_counter()
                elapsed, started = now - started, now
                self.state.step += 1
                self.state.batch += 1
                self.state.seconds += elapsed
                self.state.train_seconds += elapsed
                parts = {name: part.item() for name, part in losses.items()}
                record = {"step": self.state.step, "epoch": epoch + 1, "split": "train", "lr": lr}
                self.run.append(record | {"loss": value} | parts)
                bar(f"loss {value:.3f}  {len(batch.images) / elapsed:.1f} images/s")
                if self.state.batch < len(loader):
                    if stop:
                        self._save_last(epoch)
                        raise Interrupted(stop[0])
                    if self.settings.save_every and self.state.step % self.settings.save_every == 0:
                        self._save_last(epoch)

    def _check_finite(self, value: float, what: str, batch: Batch) -> None:
        if not math.isfinite(value):
            raise TrainingError(
                f"the {what} is {value} at step {self.state.step + 1}, images {', '.join(batch.names)}; "
                f"last/ is as it was; try a lower optim.lr than {self.settings.optim.lr:g}"
            )

    def _validate(self, loader: Loader, epoch: int) -> None:
        started = time.perf_counter()
        metric = evaluate(self.task, self.model, loader, self.accelerator, self.settings.precision, self.console)
        metrics = metric.compute()
        self.state.seconds += time.perf_counter() - started
        record = {"step": self.state.step, "epoch": epoch + 1, "split": "val"}
        self.run.append(record | metrics)
        name = self.task.best_metric
        self.console.print(f"epoch {epoch + 1}: {name} {metrics[name]:.3f} on {int(metrics['images'])} val images")
        if not metrics[name] >= 0:  # nothing to find, or NaN
            self.console.print(f"warning: val gives no {name}: while none does, the best checkpoint is the last one")
        if self.state.best is None or _is_better(metrics[name], self.state.best["metrics"][name]):
            self.state.best = {"epoch": epoch + 1, "step": self.state.step, "metrics": metrics}
            save_checkpoint(self.run.best, self.task.model, self._description(epoch) | {"metrics": metrics})

    def _save_last(self, epoch: int) -> None:
        self.state.optimizer = self.optimizer.state_dict()
        self.state.random = _random_state()
        save_checkpoint(self.run.last, self.task.model, self._description(epoch), self.state)

    def _description(self, epoch: int) -> dict[str, Any]:
        return dict(self.description) | {"epoch": epoch + 1, "step": self.state.step}

    def _verify_frozen(self, digests: Mapping[str, str]) -> None:
        changed = changed_tensors(self.task.backbone, digests)
        if changed:
            raise TrainingError(f"{len(changed)} of {len(digests)} frozen tensors changed, the first {changed[0]}")
        self.console.print(f"verified: {len(digests)} frozen tensors are bit for bit what they were")


def _is_better(figure: float, best: float) -> bool:
    """Whether a metric beats the best so far; -1 and NaN are no figures: any beats them."""
    return figure > best if best >= 0 else True


def evaluate(
    task: Task, model: nn.Module, loader: Loader, accelerator: Accelerator, precision: str, console: Console
) -> Metric:
    """The task's metric, having seen all of a loader's images; several processes share them out."""
    model.eval()
    metric = task.metric(loader.samples)
    rank, processes = accelerator.process_index, accelerator.num_processes
    with progress_bar(console, "evaluating", len(loader)) as bar, torch.inference_mode():
        for batch in loader.batches(first_batch=rank, step=processes):
            with autocast(accelerator.device, precision):
                predictions = task.predict(model, batch.to(accelerator.device))
            metric.update(batch, predictions)
            bar("")
    if processes > 1:
        for number, other in enumerate(gather_object([metric])):
            if number != rank:
                metric.merge(other)
    return metric


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _digest(loader: Loader) -> str:
    names = "\n".join(loader.samples.names)
    return hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest()


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _restore_random(state: dict[str, Any] | None) -> None:
    assert state is not None, "last/ was written without the generators' states"
    torch.set_rng_state(state["cpu"])
    for number, generator in enumerate(state["cuda"][: torch.cuda.device_count()]):  # there may be fewer than before
        torch.cuda.set_rng_state(generator, number)


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them, so that the step under way is finished."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if received:  # asked twice: at once, then
            raise KeyboardInterrupt
        received.append(number)
        # torch raises in the middle of anything when a worker dies. From here on that is no news: a loader that is
        # waited for says so, a few seconds later.
        if hasattr(signal, "SIGCHLD"):
            signal.signal(signal.SIGCHLD, lambda *_: None)

    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield received
        return
    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
