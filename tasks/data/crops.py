"""Pictures with masks as a segmenter takes them: crops to train on, whole pictures to judge by."""

import albumentations as A
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbones.errors import InputError
from tasks.data.augment import MASK_INTERPOLATION, recipe, strictly
from tasks.data.masks import IGNORE, Labels, MaskedSample
from tasks.data.samples import Image


class SegmentationTransform:
    """A sample as a segmenter takes it.

    In training a square crop, mirrored as `augment` says; what a smaller picture lacks is black and ignored. Otherwise
    the whole picture.

    Args:
        side: of the crop in pixels.
        train: crops, or whole pictures.
        fit: "crop": pictures keep their scale; "resize": they are scaled first until their short side is `side`.
        augment: a recipe's name or file, see `augment.recipe`.
        balanced: crops are centred on a pixel of a class drawn from those in the picture, each as likely.
    """

    def __init__(
        self, side: int, train: bool, fit: str = "crop", augment: str = "none", balanced: bool = False
    ) -> None:
        self.side = side
        self.train = train
        self.fit = fit
        self.balanced = balanced
        steps = recipe(augment, side, outside=IGNORE)
        if any(isinstance(step, A.Mosaic) for step in steps):
            raise InputError(f"data.augment: {augment!r} makes mosaics, which are for boxes")
        with strictly():
            self._augment = A.Compose(steps)

    def __call__(self, sample: MaskedSample, seed: int) -> tuple[Tensor, dict[str, Tensor], tuple[int, int]]:
        """Read and transform a sample; the seed alone decides what is drawn.

        Returns:
            The image, uint8 (3, H, W); the target with "mask", uint8 labels: of the crop in training, otherwise of
            the original picture; and the original (height, width).
        """
        image, mask = sample.read(), sample.mask.labels()
        original = image.shape[:2]
        if mask.shape != original:
            raise InputError(
                f"{sample.name}: the mask is {mask.shape[1]}x{mask.shape[0]} pixels, the picture "
                f"{original[1]}x{original[0]}; masks must have their pictures' sizes"
            )
        image = self.resize(image)
        if self.train:
            image, mask = self.crop(image, _resized(mask, image.shape[:2], MASK_INTERPOLATION), seed)
        tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()
        return tensor, {"mask": torch.from_numpy(np.ascontiguousarray(mask))}, original

    def resize(self, image: Image) -> Image:
        """The picture at the scale that the model takes it."""
        if self.fit == "crop":
            return image
        scale = self.side / min(image.shape[:2])
        size = (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
        return _resized(image, size, cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)

    def crop(self, image: Image, mask: Labels, seed: int) -> tuple[Image, Labels]:
        """A square crop of both, and its mirror images."""
        generator = np.random.default_rng(seed)
        image, mask = self._padded(image, mask)
        top, left = self._corner(mask, generator)
        window = slice(top, top + self.side), slice(left, left + self.side)
        self._augment.set_random_seed(seed)
        result = self._augment(image=image[window], mask=mask[window])
        return result["image"], result["mask"]

    def _padded(self, image: Image, mask: Labels) -> tuple[Image, Labels]:
        down, right = (max(0, self.side - length) for length in mask.shape)
        if not (down or right):
            return image, mask
        padded = np.pad(image, ((0, down), (0, right), (0, 0)))
        return padded, np.pad(mask, ((0, down), (0, right)), constant_values=IGNORE)

    def _corner(self, mask: Labels, generator: np.random.Generator) -> tuple[int, int]:
        most = tuple(length - self.side for length in mask.shape)
        present = np.setdiff1d(np.unique(mask), IGNORE) if self.balanced else ()
        if not len(present):
            return int(generator.integers(most[0] + 1)), int(generator.integers(most[1] + 1))
        rows, columns = np.nonzero(mask == generator.choice(present))
        chosen = generator.integers(len(rows))
        centre = rows[chosen] - self.side // 2, columns[chosen] - self.side // 2
        return int(np.clip(centre[0], 0, most[0])), int(np.clip(centre[1], 0, most[1]))


def _resized(array: NDArray[np.uint8], size: tuple[int, int], how: int) -> NDArray[np.uint8]:
    if array.shape[:2] == size:
        return array
    return cv2.resize(array, (size[1], size[0]), interpolation=how)  # type: ignore[return-value]
