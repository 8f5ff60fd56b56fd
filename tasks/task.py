"""What the trainer asks of a task, and what it hands to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from backbones import Backbone
from tasks.data.samples import Indexed


@dataclass(frozen=True)
class Batch:
    """Pictures with their targets.

    Attributes:
        images: uint8 RGB (3, H, W) each, sizes may differ.
        targets: one mapping of tensors a picture, in pixels of the image here; empty for prediction.
        indices: the pictures' positions in their split.
        names: their file names, for messages.
        original_sizes: (height, width) before resizing.
    """

    images: list[Tensor]
    targets: list[dict[str, Tensor]]
    indices: list[int]
    names: list[str]
    original_sizes: list[tuple[int, int]]

    def to(self, device: torch.device) -> "Batch":
        return replace(
            self,
            images=[image.to(device, non_blocking=True) for image in self.images],
            targets=[
                {key: value.to(device, non_blocking=True) for key, value in target.items()} for target in self.targets
            ],
        )


class Metric(Protocol):
    """Judges predictions over a whole split; every picture counts once."""

    def update(self, batch: Batch, predictions: Sequence[Any]) -> None: ...

    def merge(self, other: Self) -> None:
        """Take in what the judge of another process has seen."""
        ...

    def compute(self) -> dict[str, float]: ...


class Task(Protocol):
    """A model with what it takes to train and judge it.

    Attributes:
        model: maps a batch to losses or predictions through the two methods below.
        backbone: the part of the model that `--freeze` speaks of.
        best_metric: the name of the metric that chooses the best checkpoint; more is better.
    """

    model: nn.Module
    backbone: Backbone
    best_metric: str

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The named losses of a batch, each a scalar; their sum is minimised."""
        ...

    def predict(self, model: nn.Module, batch: Batch) -> Sequence[Any]:
        """One prediction a picture, in pixels of the original picture."""
        ...

    def metric(self, samples: Indexed[Any]) -> Metric:
        """A fresh judge for these samples."""
        ...
