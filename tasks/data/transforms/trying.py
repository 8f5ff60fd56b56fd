"""An augmentation tried on an image before a training: what comes out is still one that a backbone takes."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import albumentations as A
import numpy as np
from numpy.typing import NDArray

from backbones import InputError
from tasks.data.dataset.sample import Image
from tasks.data.transforms.augmentation import load_augmentation, strictly

_COVERED = 0.5  # the share of the image, from its middle, that the box of the trial covers


def try_augmentation(name: str, side: int, image: Image) -> None:
    """Apply every transform of an augmentation, whatever its probability.

    Args:
        name, side: as in `load_augmentation`.
        image: uint8 (H, W, C), as the augmentation will meet it.

    Raises:
        InputError: a transform fails, or makes something else of the image than uint8 (H, W, C).
    """
    for chain in _chains(load_augmentation(name, side)):
        result = image
        for transform in chain:
            try:
                after = _applied(transform, result)
            except Exception as error:  # whatever albumentations, OpenCV and numpy raise
                reason = " ".join(str(error).split())
                raise InputError(
                    f"data.augment: {name}: {type(transform).__name__} fails on an image of {result.shape[1]}x"
                    f"{result.shape[0]} pixels: {reason}"
                ) from None
            is_image = isinstance(after, np.ndarray) and after.dtype == np.uint8 and after.ndim == image.ndim
            if not is_image or after.shape[2] != image.shape[2]:
                raise InputError(
                    f"data.augment: {name}: {type(transform).__name__} makes {_shown(after)} of an image; wanted is "
                    f"uint8 (height, width, {image.shape[2]}). Leave it out: sizes, mean and std are the model's"
                )
            result = after


def _chains(steps: Sequence[Any]) -> Iterator[list[A.BasicTransform]]:
    """The transforms one after the other; of `OneOf` each one comes in one of the chains."""
    choices = [found for step in steps if (found := _alternatives(step))]
    for number in range(max(map(len, choices), default=0)):
        yield [leaf for choice in choices for leaf in choice[min(number, len(choice) - 1)]]


def _alternatives(step: Any) -> list[list[A.BasicTransform]]:
    if isinstance(step, A.OneOf):
        return [chain for inner in step.transforms for chain in _alternatives(inner)]
    if isinstance(step, A.BaseCompose):
        return list(_chains(step.transforms))
    return [] if isinstance(step, A.Mosaic) else [[step]]


def _applied(transform: A.BasicTransform, image: Image) -> Any:
    always = copy.deepcopy(transform)
    always.p = 1.0
    height, width = image.shape[:2]
    edge = (1 - _COVERED) / 2
    box: NDArray[np.float64] = np.array([[edge * width, edge * height, (1 - edge) * width, (1 - edge) * height]])
    with strictly():
        # With one that moves boxes: without any, albumentations warns of them.
        pipeline = A.Compose([A.NoOp(), always], bbox_params=A.BboxParams(format="pascal_voc", label_fields=["kept"]))
    pipeline.set_random_seed(0)
    return pipeline(image=image, mask=np.zeros((height, width), np.uint8), bboxes=box, kept=np.zeros(1))["image"]


def _shown(value: Any) -> str:
    kind = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
    return f"{kind} {tuple(value.shape)}" if hasattr(value, "shape") else kind
