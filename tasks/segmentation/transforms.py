"""Images with masks as a segmenter takes them: crops to train on, whole images to evaluate with."""

import albumentations as A
import numpy as np
import torch
from torch import Tensor

from backbones import InputError
from tasks.data import (
    AS_RGB,
    IGNORE,
    Image,
    Labels,
    MaskedSample,
    Reading,
    load_augmentation,
    resize_image,
    resize_mask,
    strictly,
)


class SegmentationTransform:
    """A sample as a segmenter takes it.

    In training a square crop, mirrored as `augment` says; what a smaller image lacks is black and ignored. Otherwise
    the whole image.

    Args:
        side: of the crop in pixels.
        train: crops, or whole images.
        fit: "crop": images keep their scale; "resize": they are scaled first until their short side is `side`.
        augment: the name or file of an augmentation, see `load_augmentation`.
        balanced: crops are centred on a pixel of a class chosen from those in the image, each as likely.
        reading: the channels of images, and the levels of deep ones.
    """

    def __init__(
        self,
        side: int,
        train: bool,
        fit: str = "crop",
        augment: str = "none",
        balanced: bool = False,
        reading: Reading = AS_RGB,
    ) -> None:
        self.reading = reading
        self.side = side
        self.train = train
        self.fit = fit
        self.balanced = balanced
        steps = load_augmentation(augment, side, outside=IGNORE)
        if any(isinstance(step, A.Mosaic) for step in steps):
            raise InputError(f"data.augment: {augment!r} makes mosaics, which are for boxes")
        with strictly():
            self._augment = A.Compose(steps)

    def __call__(self, sample: MaskedSample, seed: int) -> tuple[Tensor, dict[str, Tensor], tuple[int, int]]:
        """Read and transform a sample; the seed alone decides what is sampled.

        Returns:
            The image, uint8 (3, H, W); the target with "mask", uint8 labels: of the crop in training, otherwise of
            the original image; and the original (height, width).
        """
        image, mask = sample.read(self.reading), sample.mask.labels()
        original = image.shape[:2]
        if mask.shape != original:
            raise InputError(
                f"{sample.name}: the mask is {mask.shape[1]}x{mask.shape[0]} pixels, the image "
                f"{original[1]}x{original[0]}; masks must have their images' sizes"
            )
        image = self.resize(image)
        if self.train:
            image, mask = self.crop(image, resize_mask(mask, image.shape[:2]), seed)
        tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()
        return tensor, {"mask": torch.from_numpy(np.ascontiguousarray(mask))}, original

    def resize(self, image: Image) -> Image:
        """The image at the scale that the model takes it."""
        if self.fit == "crop":
            return image
        scale = self.side / min(image.shape[:2])
        size = (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
        return resize_image(image, size)

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
        occurring = np.setdiff1d(np.unique(mask), IGNORE) if self.balanced else ()
        if not len(occurring):
            return int(generator.integers(most[0] + 1)), int(generator.integers(most[1] + 1))
        rows, columns = np.nonzero(mask == generator.choice(occurring))
        chosen = generator.integers(len(rows))
        centre = rows[chosen] - self.side // 2, columns[chosen] - self.side // 2
        return int(np.clip(centre[0], 0, most[0])), int(np.clip(centre[1], 0, most[1]))
