"""A run's data on its way to the training."""

from typing import Any

import numpy as np
from rich.console import Console

from tasks.config import SegmentationData, Settings
from tasks.data import DataSet, Intensity, Loader, Reading, epoch_repeat_factors, found_range, try_augmentation
from tasks.processes import processes, rank
from tasks.runs.trials import passes
from tasks.task import Task


def with_intensity(settings: Settings, data: DataSet[Any], console: Console) -> Settings:
    """With the range of deep images in train, where that is to be found: it is kept with the model."""
    if settings.data.intensity != "auto":
        return settings
    found = found_range(data.splits["train"])
    if found is None:
        return settings
    low, high = found.split(",")
    console.print(f"images of more than 8 bits: levels from {low} to {high} become 0 to 255 (data.intensity {found})")
    return settings.model_copy(update={"data": settings.data.model_copy(update={"intensity": found})})


def try_on_first_image(settings: Settings, task: Task, data: DataSet[Any]) -> None:
    """Augment the first image of train, at the size that it trains at; nothing comes of it but an error."""
    reading = Reading(settings.backbone.in_channels, Intensity.of(settings.data.intensity))
    image = data.splits["train"][0].read(reading)
    image = task.transform(settings.data, train=False).resize(image)
    if isinstance(settings.data, SegmentationData):  # crops, padded where the image is smaller
        side = settings.data.image_size
        image = np.resize(image, (side, side, image.shape[2]))
    try_augmentation(settings.data.augment, settings.data.image_size, image)


def make_loader(
    settings: Settings, task: Task, data: DataSet[Any], split: str, workers: int, console: Console
) -> Loader:
    """Of a split; train's images come shuffled, those of rare classes more often where that is asked for, and this
    process has its share of them."""
    given, samples, train = settings.data, data.splits[split], split == "train"
    factors = None
    if train and settings.overfit is not None:
        factors = passes(settings, len(samples))
    elif train:
        factors = epoch_repeat_factors(samples, len(data.classes), given.sampling, given.repeat_threshold)
    if factors is not None and settings.overfit is None:
        often = f"{(factors > 1).sum()} of them more than once on average, one {factors.max():.1f} times"
        console.print(f"sampling: {factors.sum():.0f} images an epoch from {len(factors)}, {often}")
    masks = train and settings.head.finds_masks
    return Loader(
        samples,
        task.transform(given, train=train, masks=masks, others=samples, channels=settings.backbone.in_channels),
        batch_size=given.batch_size,
        workers=workers,
        seed=settings.seed,
        shuffle=train,
        repeat_factors=factors,
        share=(rank(), processes()) if train else (0, 1),
    )
