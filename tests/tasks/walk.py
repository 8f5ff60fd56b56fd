"""What a run hands to its trainer, as digests that can be compared: for the walk over every setting."""

import hashlib
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from backbones import Backbone, FeatureInfo, InputError, registry
from tasks.commands.train import parse_settings
from tasks.data import Loader
from tasks.runs import train_run
from tasks.training import Trainer, autocast

WIDTH = 16
NETWORK = "walk_network"


class _Network(Backbone):
    """Levels c1..c5 of a convolution each: nothing takes long on it."""

    def __init__(self, in_channels: int = 3, norm: str = "batch", output_stride: int = 32) -> None:
        super().__init__()
        if norm != "batch":
            raise InputError("only batch")
        strides = [2 if 2**level <= output_stride else 1 for level in range(1, 6)]
        self.blocks = nn.ModuleList()
        for level, stride in enumerate(strides):
            convolution = nn.Conv2d(in_channels if not level else WIDTH, WIDTH, 3, stride, padding=1, bias=False)
            self.blocks.append(nn.Sequential(convolution, nn.BatchNorm2d(WIDTH), nn.ReLU()))
        self.features = tuple(
            FeatureInfo(f"c{level}", WIDTH, math.prod(strides[:level])) for level in range(1, len(strides) + 1)
        )

    def stages(self) -> tuple[tuple[nn.Module, ...], ...]:
        return tuple((block,) for block in self.blocks)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        levels: dict[str, Tensor] = {}
        for info, block in zip(self.features, self.blocks, strict=True):
            images = levels[info.name] = block(images)
        return levels


class Seen(Exception):
    """A run that has come as far as its trainer."""

    def __init__(self, trainer: Trainer, train: Loader, val: Loader, text: str = "") -> None:
        super().__init__("seen")
        self.trainer, self.train, self.val, self.text = trainer, train, val, text

    def look(self, what: str) -> str:
        """The digest of one of the things below."""
        return _digest(getattr(self, f"_{what}")())

    def _model(self) -> Iterator[Any]:
        model = self.trainer.task.model
        for name, module in model.named_modules():
            yield name, type(module).__name__, module.training, sorted(_numbers(vars(module)))
        yield from model.state_dict().items()
        for name, parameter in model.named_parameters():
            yield name, parameter.requires_grad

    def _batches(self) -> Iterator[Any]:
        for loader in (self.train, self.val):
            for batch in loader.batches():
                yield batch.names, batch.original_sizes, batch.images
                yield [sorted(target.items()) for target in batch.targets]

    def _losses(self) -> Iterator[Any]:
        trainer = self.trainer
        torch.manual_seed(0)
        trainer.model.train()
        with autocast(trainer.device, trainer.settings.precision):
            losses = trainer.task.losses(trainer.model, next(self.train.batches()))
        yield from sorted((name, loss.item()) for name, loss in losses.items())

    def _predictions(self) -> Iterator[Any]:
        self.trainer.model.eval()
        with torch.inference_mode():
            yield from self.trainer.task.predict(self.trainer.model, next(self.val.batches()))

    def _metrics(self) -> Iterator[Any]:
        metric = self.trainer.task.metric(self.val.samples)
        self.trainer.model.eval()
        with torch.inference_mode():
            for batch in self.val.batches():
                metric.update(batch, self.trainer.task.predict(self.trainer.model, batch))
        yield from sorted(metric.compute())

    def _rates(self) -> Iterator[Any]:
        settings, steps = self.trainer.settings, len(self.train)
        rates = (settings.schedule.rate(step, steps, settings.optim.lr) for step in range(steps * 6))
        yield steps * settings.schedule.epochs
        yield from [round(rate, 12) for rate in rates]

    def _optimizer(self) -> Iterator[Any]:
        optimizer = self.trainer.stepper.optimizer
        yield type(optimizer).__name__
        for group in optimizer.param_groups:
            yield sorted((key, value) for key, value in group.items() if key != "params")
        yield self.trainer.settings.optim.clip_norm

    def _text(self) -> Iterator[Any]:
        yield self.text

    def _place(self) -> Iterator[Any]:
        """What changes no result."""
        trainer = self.trainer
        yield self.train._loader.num_workers, str(trainer.device)
        yield getattr(trainer.task, "evaluator", None)
        yield getattr(trainer.task.backbone, "grad_checkpointing", None), trainer.task.backbone.compile_frozen
        yield trainer.settings.save_every, trainer.settings.verify_freeze, str(trainer.run.folder)
        yield trainer.stepper.accumulate, trainer.stepper.average is None, trainer.settings.max_minutes
        yield trainer.settings.patience, trainer.settings.non_finite


def prepare(argv: Sequence[str], output: Path) -> Seen:
    """A run of these flags, as far as its trainer."""
    text = io.StringIO()

    def stop(trainer: Trainer, train: Loader, val: Loader, _stop: list[int]) -> None:
        raise Seen(trainer, train, val)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._builders, NETWORK, _Network)  # for this run alone
        patch.setattr(Trainer, "fit", stop)
        patch.setattr("tasks.runs.fitting.environment", lambda device: {})
        settings = parse_settings([*argv, *([] if "--output" in argv else ["--output", str(output)])])
        with pytest.raises(Seen) as caught:
            train_run(settings, Console(file=text, width=200))
    caught.value.text = text.getvalue().replace(str(output), "")
    return caught.value


def _numbers(values: dict[str, Any]) -> Iterator[str]:
    """The numbers among attributes, and in the plain objects among them."""
    for key, value in values.items():
        if key.startswith("_") and key != "_norms_held" and "top_n" not in key:
            continue
        if isinstance(value, (int, float, str)) or (isinstance(value, tuple) and "Tensor" not in repr(value)):
            yield f"{key} {value}"
        elif isinstance(value, dict):
            yield from (f"{key} {inner}" for inner in _numbers(value))
        elif "matcher" in key or "sampler" in key:
            yield from (f"{key} {inner}" for inner in _numbers(vars(value)))


def _digest(parts: Any) -> str:
    sha = hashlib.sha256()
    _feed(sha, list(parts))
    return sha.hexdigest()


def _feed(sha: Any, part: Any) -> None:
    if isinstance(part, Tensor):
        sha.update(str((part.dtype, tuple(part.shape))).encode())
        sha.update(part.detach().cpu().contiguous().numpy().tobytes())
    elif isinstance(part, (list, tuple)):
        for inner in part:
            _feed(sha, inner)
    elif hasattr(part, "boxes"):
        _feed(sha, [part.boxes, part.labels, part.scores, part.masks.dense() if part.masks is not None else "none"])
    else:
        sha.update(repr(part).encode())
