"""Images that are too small for the norms, before a training meets them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from backbones import InputError, on_meta
from tasks.config import ClassificationData, SegmentationData, Settings
from tasks.data import Batch, Loader, SampleTable
from tasks.processes import processes
from tasks.task import Task


def check_small_images(settings: Settings, task: Task, loaders: Mapping[str, Loader]) -> None:
    """Try the smallest batch of train and the smallest image of the others, as far as their sizes are known, on a copy
    of the model without numbers.

    Raises:
        InputError: a norm would have nothing to normalise.
    """
    trial = on_meta(task.model)
    for split, loader in loaders.items():
        size = _smallest(settings, task, loader, split)
        if size is None:
            continue
        count = loader.images % settings.data.batch_size or settings.data.batch_size
        count = max(1, count // (processes() * settings.accumulate))
        batch = _batch(split, count if split == "train" else 1, (len(task.backbone.mean), *size))
        try:
            if split == "train":
                task.losses(trial.train(), batch)
            else:
                task.predict(trial.eval(), batch)
        except InputError as error:
            raise InputError(f"--image-size {settings.data.image_size}: {error}") from error
        except Exception:  # what depends on numbers cannot be tried
            continue


def _smallest(settings: Settings, task: Task, loader: Loader, split: str) -> tuple[int, int] | None:
    """(height, width) of the smallest image as the model sees it, or None where that is not known."""
    given, train = settings.data, split == "train"
    side = given.image_size
    if isinstance(given, ClassificationData):
        return side, side
    if isinstance(given, SegmentationData):
        return (side, side) if train or given.fit == "resize" else None
    if not isinstance(loader.samples, SampleTable) or not len(loader.samples):
        return None
    sizes = loader.samples.sizes
    width, height = sizes[np.argmin(sizes.max(axis=1) / sizes.min(axis=1))]  # what is longer has more cells
    resized = task.transform(given, train=False).resize(np.zeros((height, width, len(task.backbone.mean)), np.uint8))
    return resized.shape[0], resized.shape[1]


def _batch(split: str, count: int, shape: tuple[int, int, int]) -> Batch:
    size = shape[1:]

    def empty(*shape: int, dtype: torch.dtype) -> Any:
        return torch.empty(shape, dtype=dtype, device="meta")

    target = {
        "boxes": empty(0, 4, dtype=torch.float32),
        "labels": empty(0, dtype=torch.int64),
        "crowd_boxes": empty(0, 4, dtype=torch.float32),
        "unlabelled": empty(0, dtype=torch.int64),
        "masks": empty(0, *size, dtype=torch.uint8),
        "mask": empty(*size, dtype=torch.uint8),
        "label": empty(dtype=torch.int64),
    }
    images = [empty(*shape, dtype=torch.uint8) for _ in range(count)]
    return Batch(images, [target] * count, list(range(count)), [f"the smallest of {split}"] * count, [size] * count)
