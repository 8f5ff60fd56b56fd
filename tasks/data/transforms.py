"""Sizes and augmentation: the one place where a picture is resized."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.data.samples import Image, Sample

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it looks for a newer release when imported

import albumentations as A

LONG_SIDE_RATIO = 1.5


class DetectionTransform:
    """A sample as a detector takes it: resized, augmented, the boxes in step.

    The picture is scaled until its short side is `side` pixels or its long side 1.5 times that, whichever
    comes first.

    Args:
        side: in pixels.
        augment: none | light (a horizontal flip, half of the time) | flips (vertical as well).
    """

    def __init__(self, side: int, augment: str = "none") -> None:
        flips = [A.HorizontalFlip(p=0.5)] if augment != "none" else []
        flips += [A.VerticalFlip(p=0.5)] if augment == "flips" else []
        long_side = round(side * LONG_SIDE_RATIO)
        self._wide = _compose([_fit_within(side, long_side), *flips])
        self._tall = _compose([_fit_within(long_side, side), *flips])

    def __call__(self, sample: Sample, seed: int) -> tuple[Tensor, dict[str, Tensor], tuple[int, int]]:
        """Read and transform a sample.

        Returns:
            The image, uint8 (3, H, W); the target with "boxes" (n, 4) float32 in its pixels, "labels"
            (n,) int64 from 0, and "crowd_boxes" (m, 4); and the original (height, width).
        """
        image = sample.read()
        original_size = image.shape[:2]
        image, boxes, kept = self.apply(image, sample.boxes, seed)
        crowd = sample.crowd[kept]
        target = {
            "boxes": torch.from_numpy(boxes[~crowd]).float(),
            "labels": torch.from_numpy(sample.labels[kept][~crowd]),
            "crowd_boxes": torch.from_numpy(boxes[crowd]).float(),
        }
        return torch.from_numpy(image).permute(2, 0, 1).contiguous(), target, original_size

    def resize(self, image: Image) -> Image:
        """The picture at the size that the model takes it."""
        return self.apply(image, np.zeros((0, 4)), seed=0)[0]

    def apply(
        self, image: Image, boxes: NDArray[np.float64], seed: int
    ) -> tuple[Image, NDArray[np.float64], NDArray[np.int64]]:
        """(image (H, W, 3), boxes (n, 4), seed) -> (image, boxes, the positions of the boxes that remain).

        The seed alone decides what is drawn.
        """
        pipeline = self._wide if image.shape[1] >= image.shape[0] else self._tall
        pipeline.set_random_seed(seed)
        result = pipeline(image=image, bboxes=boxes, kept=np.arange(len(boxes)))
        boxes = np.asarray(result["bboxes"], np.float64).reshape(-1, 4)
        return result["image"], boxes, np.asarray(result["kept"], np.int64).reshape(-1)


def _fit_within(height: int, width: int) -> A.BasicTransform:
    return A.LongestMaxSize(max_size_hw=(height, width), area_for_downscale="image")


def _compose(steps: list[A.BasicTransform]) -> A.Compose:
    with strictly():
        return A.Compose(steps, bbox_params=A.BboxParams(format="pascal_voc", label_fields=["kept"]))


@contextmanager
def strictly() -> Iterator[None]:
    """albumentations only warns of an argument that it does not know, and goes on without it: here it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """The seed of one sample's augmentation, whoever loads it."""
    return int(np.random.SeedSequence((seed, epoch, index)).generate_state(1)[0])
