"""The training loop. It knows no task: a model, named losses, and a metric that chooses the best."""

import math
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from rich.console import Console
from torch import nn

from backbones import changed_tensors, frozen_digests
from tasks.config import Settings
from tasks.data import Fingerprint, Loader, WorkerError
from tasks.processes import by_first, gathered, processes
from tasks.task import Task
from tasks.training.checkpoint import TrainingState, load_weights_into
from tasks.training.evaluation import evaluate
from tasks.training.generators import generators_state, restore_generators, seed_generators
from tasks.training.profiling import profiled
from tasks.training.progress import progress_bar
from tasks.training.replay import save_replay
from tasks.training.run import Run
from tasks.training.step import StepDone, Stepper
from tasks.training.stopping import Interrupted, OutOfTime, TrainingError

_PATIENCE = 5.0  # seconds between a signal to the loader's workers and the same one to the trainer
_MOST_SKIPPED = 20  # steps in a row without a finite gradient


class Trainer:
    """Trains a task into a run's folder.

    Args:
        task: what to train.
        settings: of the run.
        run: the folder.
        description: model.json's content; the trainer adds the epoch and the step.
        accelerator: on the device to train on.
        console: where the progress goes.
        data: what the run trains on and is evaluated on, to be known again at a resume.
    """

    def __init__(
        self,
        task: Task,
        settings: Settings,
        run: Run,
        description: Mapping[str, Any],
        accelerator: Accelerator,
        console: Console,
        data: Mapping[str, Fingerprint],
    ) -> None:
        self.task = task
        self.settings = settings
        self.run = run
        self.description = description
        self.console = console
        self.device = accelerator.device
        self.state = TrainingState.of(data)
        task.model.to(self.device).to(memory_format=torch.channels_last)
        self.model: nn.Module = accelerator.prepare(task.model)
        self.stepper = Stepper(task, self.model, settings, self.device, console.print)
        self._under_way: StepDone | None = None
        self._started = time.monotonic()
        self._skipped = 0
        self._profile = settings.profile
        seed_generators(settings.seed)

    def resume(self, state: TrainingState) -> None:
        """Take up where last/ stands; the log forgets what came after it.

        Args:
            state: read from last/.

        Raises:
            InputError: last/ cannot be read.
        """
        assert state.optimizer is not None
        assert state.random is not None
        load_weights_into(self.task.model, self.run.last)
        self.state = replace(state, data=self.state.data)
        optimizer = self.stepper.optimizer
        given = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        optimizer.load_state_dict(state.optimizer)
        for group, own in zip(optimizer.param_groups, given, strict=True):
            group.update(own)  # the settings', which --resume-anyway may have changed
        self.stepper.scaler.load_state_dict(state.scaler or {})
        self.stepper.accumulate = max(state.accumulate, self.settings.accumulate)
        if self.stepper.average is not None:
            self.stepper.average.module.load_state_dict(state.average or self.task.model.state_dict())
        restore_generators(state.random)
        self.run.keep_until(state.step, state.validate_first)

    def fit(self, train: Loader, val: Loader, stop: list[int]) -> TrainingState:
        """Train to the end, validating after every epoch.

        Args:
            stop: signals that came.

        Raises:
            TrainingError: the loss is not finite, a frozen tensor changed, or the folder cannot be written to.
            Interrupted, OutOfTime: a signal came, or the minutes are over; last/ is written.
            InputError: an image cannot be read.
        """
        if self.settings.verify_freeze and self.state.frozen is None:
            self.state.frozen = frozen_digests(self.task.backbone)
        self._train_epochs(train, val, stop)
        if self.state.frozen is not None:
            self._verify_frozen(self.state.frozen)
        return self.state

    @contextmanager
    def explaining(self, loaders: Collection[Loader], stop: list[int]) -> Iterator[None]:
        """What ends a training or an evaluation within it, in our own words.

        Raises:
            Interrupted: a signal came, and ended the loaders' workers first.
            TrainingError: a worker or another process has gone, or memory is short.
        """
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"out of memory at step {self.state.step + 1}, in {self.stepper.accumulate} parts; take a smaller "
                "--image-size or --batch-size, a higher --accumulate, or --backbone.grad-checkpointing"
            ) from error
        except (RuntimeError, OSError, EOFError) as error:
            if isinstance(error, TrainingError):
                raise
            gone = next((found for loader in loaders if (found := loader.failure(error))), None)
            # Where a SIGTERM goes to every process by itself, it ends the workers too, perhaps first; what they had
            # ready cannot be fetched then.
            patient_until = time.monotonic() + (_PATIENCE if gone else 0)
            while not stop and time.monotonic() < patient_until:
                time.sleep(0.1)
            if gone is not None and stop:
                if isinstance(error, WorkerError) and processes() == 1:  # it was waited for, between two steps
                    self._save_where_it_stands()
                raise Interrupted(stop[0]) from error
            if gone is not None:
                raise TrainingError(str(gone)) from error
            if processes() > 1 and _is_of_exchange(error):
                raise TrainingError("another process of this training has gone; last/ is as it was") from error
            raise

    def _save_where_it_stands(self) -> None:
        """In an epoch, after the steps that were taken."""
        if self.state.batch and not self.state.validate_first:
            self._flush(self.state.epoch)
            self._save_last(self.state.epoch)

    def _train_epochs(self, train: Loader, val: Loader, stop: list[int]) -> None:
        while self.state.epoch < self.settings.schedule.epochs and not self._is_stale():
            epoch = self.state.epoch
            if not self.state.validate_first:
                self._train_epoch(train, epoch, stop)
                self.state.validate_first = True
                self._save_last(epoch)
                if any(gathered(self._is_late())):
                    raise self._out_of_time()
            self._validate(val, epoch, stop)
            self.state = replace(self.state, epoch=epoch + 1, batch=0, validate_first=False)
            self._save_last(epoch)

    def _train_epoch(self, loader: Loader, epoch: int, stop: list[int]) -> None:
        self.model.train()
        schedule, steps = self.settings.schedule, len(loader) * self.settings.schedule.epochs
        title = f"epoch {epoch + 1}/{schedule.epochs}"
        profiler = profiled(self.run, self.console) if self._profiles() else nullcontext(lambda: None)
        with progress_bar(self.console, title, steps, self.state.step) as bar, profiler as recorded:
            self._clock = time.perf_counter()
            for batch in loader.batches(epoch, first_batch=self.state.batch):
                lr = schedule.rate(self.state.step, len(loader), self.settings.optim.lr)
                step = self.stepper(batch, self.state.step + 1, lr, self._requests(stop) if processes() > 1 else [])
                self.state.step += 1
                self.state.batch += 1
                # While the device is at this step, the host is at the one before.
                asked = self._asked(stop, self._under_way)
                bar(self._flush(epoch))
                self._under_way = step
                recorded()
                saves = self.settings.save_every and self.state.step % self.settings.save_every == 0
                if self.state.batch < len(loader) and (asked or saves):
                    asked = asked or self._asked(stop, step)
                    bar(self._flush(epoch))
                    self._save_last(epoch)
                    if asked:
                        raise asked
            bar(self._flush(epoch))

    def _profiles(self) -> bool:
        """In the first epoch alone."""
        wanted, self._profile = self._profile, False
        return wanted

    def _flush(self, epoch: int) -> str:
        """Write down the step that is under way, once its numbers have come; a line for the progress."""
        step, self._under_way = self._under_way, None
        return "" if step is None else self._report(step, epoch)

    def _requests(self, stop: list[int]) -> list[float]:
        """What this process would stop for: either signal, or that the time is over."""
        return [float(signal.SIGINT in stop), float(signal.SIGTERM in stop), float(self._is_late())]

    def _asked(self, stop: list[int], step: StepDone | None) -> Exception | None:
        """What to stop for. Several processes learn it from the numbers of the step before, all after the same one."""
        several = processes() > 1
        if several and step is None:
            return None
        interrupted, terminated, late = step.rest()[-3:] if several and step else self._requests(stop)
        if terminated or interrupted:
            return Interrupted(signal.SIGTERM if terminated else signal.SIGINT)
        return self._out_of_time() if late else None

    def _out_of_time(self) -> OutOfTime:
        return OutOfTime(f"{self.settings.max_minutes:g} minutes are over; --resume goes on")

    def _is_late(self) -> bool:
        most = self.settings.max_minutes
        return most is not None and time.monotonic() - self._started > 60 * most

    def _is_stale(self) -> bool:
        """Whether no validation has been better for too long."""
        patience, best = self.settings.patience, self.state.best
        return patience is not None and best is not None and self.state.epoch - best["epoch"] >= patience

    def _report(self, step: StepDone, epoch: int) -> str:
        losses, (loss, norm, *_) = step.losses(), step.rest()
        self._check_finite(step, loss, norm)
        now = time.perf_counter()
        elapsed, self._clock = now - self._clock, now
        self.state.seconds += elapsed
        self.state.train_seconds += elapsed
        self.run.append(
            {"step": step.step, "epoch": epoch + 1, "split": "train", "lr": step.lr, "loss": loss, **losses}
        )
        return f"loss {loss:.3f}  {(step.batch.step_images or len(step.batch)) / elapsed:.1f} images/s"

    def _check_finite(self, step: StepDone, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            self._skipped = 0
            return
        what, value = ("gradient", norm) if math.isfinite(loss) else ("loss", loss)
        scaling = self.settings.precision == "fp16" and what == "gradient"  # the scale is being found
        images = ", ".join(name for names in gathered(step.batch.names) for name in names)
        self._skipped += 1
        self.stepper.forget(step.step)
        if (scaling or self.settings.non_finite == "skip") and self._skipped <= _MOST_SKIPPED:
            if not scaling:
                self.console.print(f"warning: the {what} is {value} at step {step.step}, images {images}: left out")
            return
        file = save_replay(self.run, self.task.model, self.task.classes, step)
        replay = "" if file is None else f", or look for what is wrong with these: --replay {file}"
        often = f", {self._skipped} steps in a row" if self._skipped > 1 else ""
        raise TrainingError(
            f"the {what} is {value} at step {step.step}{often}, images {images}; last/ is as it was; try a lower "
            f"optim.lr than {self.settings.optim.lr:g}{replay}"
        )

    def _validate(self, loader: Loader, epoch: int, stop: list[int]) -> None:
        started = time.perf_counter()
        model = self.task.model
        if processes() > 1:  # each has the running statistics of its own images
            for buffer in self.stepper.statistics:
                dist.broadcast(buffer, src=0)
        if self.stepper.average is not None:
            model = self.stepper.average.module
        metric = evaluate(self.task, model, loader, self.device, self.settings.precision, self.console, stop)
        metrics = by_first(metric.compute)
        self.state.seconds += time.perf_counter() - started
        record = {"step": self.state.step, "epoch": epoch + 1, "split": "val"}
        self.run.append(record | metrics)
        name = self.task.best_metric
        self.console.print(f"epoch {epoch + 1}: {name} {metrics[name]:.3f} on {int(metrics['images'])} val images")
        if not metrics[name] >= 0:  # nothing to find, or NaN
            self.console.print(f"warning: val gives no {name}: while none does, the best checkpoint is the last one")
        if self.state.best is None or _is_better(metrics[name], self.state.best["metrics"][name]):
            self.state.best = {"epoch": epoch + 1, "step": self.state.step, "metrics": metrics}
            description = self._description(epoch) | {"metrics": metrics}
            by_first(lambda: self.run.save(self.run.best, model, description))

    def _save_last(self, epoch: int) -> None:
        average = self.stepper.average
        self.state.optimizer = self.stepper.optimizer.state_dict()
        self.state.scaler = self.stepper.scaler.state_dict()
        self.state.average = None if average is None else average.module.state_dict()
        self.state.accumulate = self.stepper.accumulate
        self.state.random = generators_state()
        # The others wait: what ends with them is ended by their launcher.
        by_first(lambda: self.run.save(self.run.last, self.task.model, self._description(epoch), self.state))

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


def _is_of_exchange(error: BaseException) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error) or "NCCL" in str(error)
