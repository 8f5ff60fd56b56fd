"""One step of the optimizer, on one process or several. The host does not wait for the device here."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import record_function

from tasks.config import Settings
from tasks.data import Batch, share_sizes
from tasks.processes import processes, summed, taking_part
from tasks.task import Task
from tasks.training.parameters import make_optimizer

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_FIRST_SCALE = 2.0**16  # of a loss in fp16, as torch's
_NEVER = 2**31 - 1


@dataclass(frozen=True)
class StepDone:
    """What a step has come to; its numbers are on their way to the host.

    Attributes:
        step: from 1.
        lr: its learning rate.
        batch: its images, on the host.
        names: of the losses.
        numbers: each loss, their sum, the norm of the gradient, and what else was given; the mean over the processes.
    """

    step: int
    lr: float
    batch: Batch
    names: tuple[str, ...]
    numbers: "Later"

    def losses(self) -> dict[str, float]:
        return dict(zip(self.names, self.numbers.read(), strict=False))

    def rest(self) -> list[float]:
        """The loss, the norm, and what else was given."""
        return self.numbers.read()[len(self.names) :]


class Later:
    """Numbers on a device, read when they have come to the host.

    Args:
        numbers: (n,).
    """

    def __init__(self, numbers: Tensor) -> None:
        # Elsewhere there is nothing to wait by: the copy itself does.
        self._numbers = numbers.detach().to("cpu", non_blocking=numbers.device.type not in ("cpu", "mps", "xpu"))
        self._there = None
        if numbers.device.type == "cuda":
            self._there = torch.cuda.Event()
            self._there.record()

    def read(self) -> list[float]:
        if self._there is not None:
            self._there.synchronize()
        return self._numbers.tolist()


class Stepper:
    """Computes losses and gradients and moves the weights.

    A step that is not finite moves nothing: the scaler finds that out on the device and leaves it out. Unless such
    steps are to be skipped, all that follow are left out too, until the host has seen it.

    Args:
        task: whose losses these are.
        model: the task's, perhaps as several processes train it.
        settings: of the run.
        device: that the model is on.
        warn: takes a line on what happens on the way.

    Attributes:
        accumulate: in how many parts the images of a step are computed, one after the other.
        average: timm's moving average of the weights, or None; after few steps it is short, and what is no weight is
            the model's.
        statistics: running means and variances that training moves.
    """

    def __init__(
        self, task: Task, model: nn.Module, settings: Settings, device: torch.device, warn: Callable[[str], None]
    ) -> None:
        self.task, self.model, self.settings, self.device, self._warn = task, model, settings, device, warn
        self.accumulate = settings.accumulate
        self.optimizer = make_optimizer(task.model, settings.optim)
        self._trained = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
        half = settings.precision == "fp16"
        self.scaler = torch.amp.GradScaler(
            device.type, init_scale=_FIRST_SCALE if half else 1.0, growth_interval=2000 if half else _NEVER
        )
        self.average = None
        if settings.ema is not None:
            self.average = ModelEmaV3(task.model, settings.ema, use_warmup=True, exclude_buffers=True)
        self._broken = torch.zeros((), dtype=torch.bool, device=device)
        frozen = {id(module) for module in task.backbone.frozen_modules()}
        self.statistics = [
            buffer
            for module in task.model.modules()
            if id(module) not in frozen
            for name, buffer in module.named_buffers(recurse=False)
            if name.startswith("running")
        ]
        self._kept = [[buffer.clone() for buffer in self.statistics] for _ in range(2)]

    def __call__(self, batch: Batch, step: int, lr: float, more: list[float]) -> StepDone:
        """Take a step on this process's share of its images.

        Args:
            step: from 1.
            more: numbers to go with the step's; they are averaged over the processes too.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        if self.statistics:
            torch._foreach_copy_(self._kept[step % 2], self.statistics)
        try:
            losses = self._gradients(batch)
        except torch.OutOfMemoryError:
            if processes() > 1 or self.accumulate > self.settings.accumulate or len(batch) <= self.accumulate:
                raise
            losses = None  # outside of `except`: what it holds on to is freed
        if losses is None:
            losses = self._gradients_with_less_memory(batch)
        with record_function("optimizer"):
            norm = self._move(step)
        total = torch.stack(list(losses.values())).sum()
        if self.settings.non_finite == "stop":
            finite = total.isfinite() if self.settings.precision == "fp16" else total.isfinite() & norm.isfinite()
            self._broken = self._broken | ~finite
        numbers = torch.stack([*losses.values(), total, norm.to(total.dtype)])
        if more:
            numbers = torch.cat([numbers, torch.tensor(more, device=self.device)])
        return StepDone(step, lr, batch, tuple(losses), Later(summed(numbers) / processes()))

    def _move(self, step: int) -> Tensor:
        """Move the weights; the norm that the gradient had."""
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self._trained, self.settings.optim.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update(None if self.settings.precision == "fp16" else 1.0)
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update(self.task.model, step)
        return norm

    def forget(self, step: int) -> None:
        """Give running statistics back what they were before a step that was not finite; they have taken that in."""
        if self.statistics:
            torch._foreach_copy_(self.statistics, self._kept[step % 2])
            torch._foreach_copy_(self._kept[(step + 1) % 2], self.statistics)

    def _gradients_with_less_memory(self, batch: Batch) -> dict[str, Tensor]:
        self.optimizer.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.accumulate *= 2
        self._warn(
            f"warning: out of memory: from here on a step's images are computed in {self.accumulate} parts; "
            f"--accumulate {self.accumulate} does so from the beginning"
        )
        return self._gradients(batch)

    def _gradients(self, batch: Batch) -> dict[str, Tensor]:
        """Of the step's loss, left in the parameters; the losses themselves, as of all its images."""
        found: dict[str, Tensor] = {}
        parts = list(self._parts(batch))
        for number, (part, share) in enumerate(parts, start=1):
            with self._exchange(number == len(parts)), taking_part(part.takes_part):
                with record_function("to the device"):
                    there = part.to(self.device)
                with record_function("forward"), autocast(self.device, self.settings.precision):
                    losses = self.task.losses(self.model, there)
                losses = {name: share * loss for name, loss in losses.items()}
                total = torch.stack(list(losses.values())).sum()
                # No number, nor its gradient, where an earlier step was none: this one is left out as well.
                total = total * torch.where(self._broken, torch.nan, float(part.takes_part))
                with record_function("backward"):
                    self.scaler.scale(total).backward()
            for name, loss in losses.items():
                found[name] = found[name] + loss.detach() if name in found else loss.detach()
        return found

    def _parts(self, batch: Batch) -> Iterator[tuple[Batch, float]]:
        """This process's parts of a step, each with the share of the step's images that all processes' parts are."""
        whole = batch.step_images or len(batch)
        shares = share_sizes(whole, processes())
        count = min(self.accumulate, shares[0])
        sizes = [share_sizes(share, count) for share in shares]
        own = batch.parts(count)
        for number in range(count):
            part = own[number] if number < len(own) else replace(batch.part(slice(0, 1)), takes_part=False)
            yield part, sum(size[number] for size in sizes) / whole

    def _exchange(self, last: bool) -> Any:
        """Processes exchange gradients once a step, with the last part."""
        if isinstance(self.model, DistributedDataParallel) and not last:
            return self.model.no_sync()
        return nullcontext()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, _DTYPES.get(precision, torch.bfloat16), enabled=precision in _DTYPES)
