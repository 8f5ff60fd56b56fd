"""The images of a comparison: the built-in shapes, at the size at which no side resizes them."""

from dataclasses import replace

import torch

from tasks.assembly import find_task
from tasks.benchmark.comparisons.line import Conditions
from tasks.config import HeadSettings, data_settings
from tasks.data import Batch, Loader, open_data

CLASSES = {"detection": ("circle", "square", "triangle"), "segmentation": ("ground", "circle", "square", "triangle")}
_LEAST = 2  # pixels of an object's height that a cut leaves: less is none


def make_batches(head: HeadSettings, conditions: Conditions) -> list[Batch]:
    """As our loader gives them: uint8, not augmented."""
    sizes = conditions.sizes
    side = max(sizes.height, sizes.width)
    settings = data_settings(head.task)(count=sizes.batch * conditions.batches, image_size=side, augment="none")
    samples = open_data(settings, head.annotations).splits["train"]
    transform = find_task(head.task).transform(settings, train=False, masks=head.finds_masks)
    loader = Loader(samples, transform, batch_size=sizes.batch, seed=conditions.seed)
    return [batch if sizes.height == side else _cut(batch, sizes.height) for batch in loader.batches()]


def _cut(batch: Batch, height: int) -> Batch:
    """The upper part of the images, with what lies in it of their objects."""
    targets = []
    for target in batch.targets:
        boxes = target["boxes"].clone()
        boxes[:, 1::2] = boxes[:, 1::2].clamp(max=height)
        kept = boxes[:, 3] - boxes[:, 1] >= _LEAST
        cut = target | {"boxes": boxes[kept], "labels": target["labels"][kept]}
        if "masks" in target:
            cut["masks"] = target["masks"][kept, :height]
        targets.append(cut)
    images = [image[:, :height].contiguous() for image in batch.images]
    sizes = [(height, int(image.shape[2])) for image in images]
    return replace(batch, images=images, targets=targets, original_sizes=sizes)


def as_floats(batch: Batch) -> list[torch.Tensor]:
    """As torchvision's transforms give them: 0..1."""
    return [image.float() / 255 for image in batch.images]
