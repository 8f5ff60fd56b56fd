"""Images as a detector takes them, boxes and masks in step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbones import InputError
from tasks.data import (
    AS_RGB,
    LONG_SIDE_RATIO,
    Image,
    Indexed,
    Reading,
    Sample,
    fit_within,
    load_augmentation,
    object_mask,
    strictly,
)

# Of a box's own area: what a crop leaves less of is no longer an object to learn from.
_LEAST_VISIBLE = 0.1
_MOSAIC_PARTNERS = 3
_PER_OBJECT = ("labels", "crowd")
# Pixels by which a box may differ from its mask's extent, as annotated and after an augmentation.
_BETWEEN_PIXELS, _ROUNDED = 1.0, 1.5


class DetectionTransform:
    """A sample as a detector takes it: resized, augmented, boxes and masks in step.

    The image is scaled until its short side is `side` pixels or its long side 1.5 times that, whichever
    comes first; the augmentation follows.

    Args:
        side: in pixels.
        augment: the name or file of an augmentation, see `load_augmentation`.
        masks: give the objects' masks too.
        others: what a mosaic takes its other images from.
        reading: the channels of images, and the levels of deep ones.

    Raises:
        InputError: there is no such augmentation, or it loses the masks.
    """

    def __init__(
        self,
        side: int,
        augment: str = "none",
        *,
        masks: bool = False,
        others: Indexed[Sample] | None = None,
        reading: Reading = AS_RGB,
    ) -> None:
        self.reading = reading
        steps = load_augmentation(augment, side, hidden=0)
        self._changes = bool(steps)
        if masks and any(isinstance(step, A.Mosaic) for step in steps):
            raise InputError(
                f"data.augment: {augment!r} makes mosaics, which have no masks; take another augmentation or head"
            )
        self.masks = masks
        self._others = others if any(isinstance(step, A.Mosaic) for step in steps) else None
        long_side = round(side * LONG_SIDE_RATIO)
        self._wide = _compose([fit_within(side, long_side), *steps])
        self._tall = _compose([fit_within(long_side, side), *steps])

    def __call__(self, sample: Sample, seed: int) -> tuple[Tensor, dict[str, Tensor], tuple[int, int]]:
        """Read and transform a sample.

        Returns:
            The image, uint8 (3, H, W); the target with "boxes" (n, 4) float32 in its pixels, "labels"
            (n,) int64 from 0, "crowd_boxes" (m, 4), "unlabelled" (k,) int64, the labels that nobody looked for on it,
            and, where they are asked for, "masks" (n, H, W) uint8; and the original (height, width).
        """
        image = sample.read(self.reading)
        samples = [sample, *self._partners(seed)]
        masks = _masks_of(sample) if self.masks else None
        transformed = self.apply(image, sample.boxes, seed, masks, samples[1:])
        labels, crowd = (
            np.concatenate([getattr(one, name) for one in samples])[transformed.kept] for name in _PER_OBJECT
        )
        unlabelled = sorted({label for one in samples for label in one.unlabelled})
        target = {
            "boxes": torch.from_numpy(transformed.boxes[~crowd]).float(),
            "labels": torch.from_numpy(labels[~crowd]),
            "crowd_boxes": torch.from_numpy(transformed.boxes[crowd]).float(),
            "unlabelled": torch.tensor(unlabelled, dtype=torch.int64),
        }
        if transformed.masks is not None:
            target["masks"] = torch.from_numpy(transformed.masks[~crowd])
        return torch.from_numpy(transformed.image).permute(2, 0, 1).contiguous(), target, image.shape[:2]

    def resize(self, image: Image) -> Image:
        """The image at the size that the model takes it."""
        return self.apply(image, np.zeros((0, 4)), seed=0).image

    def apply(
        self,
        image: Image,
        boxes: NDArray[np.float64],
        seed: int,
        masks: NDArray[np.uint8] | None = None,
        partners: Sequence[Sample] = (),
    ) -> "Transformed":
        """Transform an image (H, W, 3) with its boxes (n, 4) and masks (n, H, W); the seed alone decides what is
        sampled. Objects of `partners` are numbered on after its own."""
        pipeline = self._wide if image.shape[1] >= image.shape[0] else self._tall
        pipeline.set_random_seed(seed)
        data: dict[str, Any] = {"image": image, "bboxes": boxes, "kept": np.arange(len(boxes))}
        if masks is not None and len(masks):
            data["masks"] = masks
        if self._others is not None:
            data["mosaic_metadata"] = _tiles(partners, len(boxes), self.reading)
        result = pipeline(**data)
        kept = np.asarray(result["kept"], np.int64).reshape(-1)
        moved = Transformed(result["image"], np.asarray(result["bboxes"], np.float64).reshape(-1, 4), kept)
        if masks is None:
            return moved
        if not len(masks):
            return replace(moved, masks=np.zeros((0, *moved.image.shape[:2]), np.uint8))
        moved = replace(moved, masks=np.asarray(result["masks"], np.uint8)[kept])
        return what_is_left(moved, boxes[kept], masks[kept]) if self._changes else moved

    def _partners(self, seed: int) -> list[Sample]:
        if self._others is None:
            return []
        chosen = np.random.default_rng(seed).integers(len(self._others), size=_MOSAIC_PARTNERS)
        return [self._others[int(position)] for position in chosen]


@dataclass(frozen=True)
class Transformed:
    """What has become of an image.

    Attributes:
        image: uint8 (H, W, 3).
        boxes: (n, 4) of the objects that are left.
        kept: (n,) which those are.
        masks: (n, H, W) uint8, where masks were given.
    """

    image: Image
    boxes: NDArray[np.float64]
    kept: NDArray[np.int64]
    masks: NDArray[np.uint8] | None = None


def what_is_left(moved: Transformed, boxes: NDArray[np.float64], masks: NDArray[np.uint8]) -> Transformed:
    """Objects whose masks an augmentation has emptied are none, and boxes that enclosed their masks enclose them again:
    of what holes, crops and turns have left, as in detectron2.

    Args:
        moved: with masks, and the boxes that enclose the moved boxes.
        boxes, masks: of the same objects before.
    """
    assert moved.masks is not None
    there = masks.any(axis=(1, 2))
    kept = ~there | moved.masks.any(axis=(1, 2))
    result = moved.boxes.copy()
    for number in np.flatnonzero(there & kept):
        before, now = _extent(masks[number]), _extent(moved.masks[number])
        enclosed = np.abs(before - boxes[number]).max() <= _BETWEEN_PIXELS
        # Within a pixel and a half of the image as it was the box is better: it may lie between pixels.
        scale = max(1.0, float(np.sqrt(moved.masks[number].sum() / masks[number].sum())))
        if enclosed and np.abs(now - result[number]).max() > _ROUNDED * scale:
            result[number] = now
    return Transformed(moved.image, result[kept], moved.kept[kept], moved.masks[kept])


def _extent(mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def _masks_of(sample: Sample) -> NDArray[np.uint8]:
    masks = [
        object_mask(text, sample.size, f"{sample.where}: object {number}")
        for number, text in enumerate(sample.segmentations, start=1)
    ]
    return np.stack(masks).astype(np.uint8) if masks else np.zeros((0, sample.size[1], sample.size[0]), np.uint8)


def _tiles(partners: Sequence[Sample], first: int, reading: Reading) -> list[dict[str, Any]]:
    tiles = []
    for partner in partners:
        kept = np.arange(first, first + len(partner.boxes))
        tiles.append({"image": partner.read(reading), "bboxes": partner.boxes, "kept": kept})
        first += len(partner.boxes)
    return tiles


def _compose(steps: list[A.BasicTransform]) -> A.Compose:
    visible = _LEAST_VISIBLE if len(steps) > 1 else 0.0
    with strictly():
        boxes = A.BboxParams(format="pascal_voc", label_fields=["kept"], min_visibility=visible)
        return A.Compose(steps, bbox_params=boxes)
