"""What the trainer asks of a task, and what it hands to it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from backbones import Backbone
from tasks.config import DataSettings
from tasks.data import Batch, Indexed

__all__ = ["Metric", "Task", "Transform"]


class Transform(Protocol):
    """Makes a sample into tensors; also what `Loader` calls."""

    def __call__(self, sample: Any, seed: int) -> tuple[Tensor, dict[str, Tensor], tuple[int, int]]:
        """Read and transform a sample; the seed alone decides what is sampled.

        Returns:
            The image, uint8 (C, H, W); the target; and the original (height, width).
        """
        ...

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image (H, W, C) at the size that the model takes it."""
        ...


class Metric(Protocol):
    """Evaluates predictions over a whole split; every image counts once."""

    def update(self, batch: Batch, predictions: Sequence[Any]) -> None: ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What this process has seen, flat, for the others."""
        ...

    def merge(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take in what another process has seen."""
        ...

    def compute(self) -> dict[str, float]: ...


class Task(Protocol):
    """A model with what it takes to train and evaluate it.

    Attributes:
        name: detection, segmentation, ...
        model: maps a batch to losses or predictions through the two methods below.
        backbone: the part of the model that `--freeze` speaks of.
        classes: the names; a label is a position in them.
        best_metric: the name of the metric that chooses the best checkpoint; more is better.
        dense: parts of the model, by their names in it, that compute on whole maps and wait for nothing: what is
            compiled for inference, where that is asked for.
    """

    name: str
    model: nn.Module
    backbone: Backbone
    classes: tuple[str, ...]
    best_metric: str
    dense: tuple[str, ...]

    @staticmethod
    def transform(
        settings: DataSettings,
        *,
        train: bool,
        masks: bool = False,
        others: Indexed[Any] | None = None,
        channels: int = 3,
    ) -> Transform:
        """What makes a sample into tensors.

        Args:
            train: augmented, or as it is.
            masks: of the objects too.
            others: what a mosaic takes its other images from.
            channels: of the images that the backbone takes.
        """
        ...

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The named losses of a batch, each a scalar; their sum is minimised."""
        ...

    def predict(self, model: nn.Module, batch: Batch) -> Sequence[Any]:
        """One prediction an image, in pixels of the original image."""
        ...

    def metric(self, samples: Indexed[Any]) -> Metric:
        """A fresh metric over these samples."""
        ...
