"""Images as a classifier takes them: a random part to train on, the middle to evaluate with."""

import math

import albumentations as A
import numpy as np
import torch
from torch import Tensor

from backbones import InputError
from tasks.config import ClassificationData
from tasks.data import AS_RGB, Image, LabelledSample, Reading, load_augmentation, resize_image, strictly

_RATIO = (3 / 4, 4 / 3)
_ATTEMPTS = 10


class ClassificationTransform:
    """A sample as a classifier takes it: square.

    Args:
        settings: the side, and how images come to it.
        train: a random part where images are cropped, and the augmentation; or the image as it is evaluated.
        reading: the channels of images, and the levels of deep ones.
    """

    def __init__(self, settings: ClassificationData, train: bool, reading: Reading = AS_RGB) -> None:
        self.settings = settings
        self.side = settings.image_size
        self.train = train
        self.reading = reading
        steps = load_augmentation(settings.augment if train else "none", self.side)
        if any(isinstance(step, A.Mosaic) for step in steps):
            raise InputError(f"data.augment: {settings.augment!r} makes mosaics, which are for boxes")
        with strictly():
            self._augment = A.Compose(steps) if steps else None

    def __call__(self, sample: LabelledSample, seed: int) -> tuple[Tensor, dict[str, Tensor], tuple[int, int]]:
        """Read and transform a sample; the seed alone decides what is sampled.

        Returns:
            The image, uint8 (C, side, side); the target with "label", int64 (); and the original (height, width).
        """
        image = sample.read(self.reading)
        original = image.shape[:2]
        image = self.varied(image, seed) if self.train else self.resize(image)
        tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()
        return tensor, {"label": torch.tensor(sample.label)}, original

    def resize(self, image: Image) -> Image:
        """The image as it is evaluated: whole, or its middle (torchvision's `ImageClassification` preset)."""
        square = (self.side, self.side)
        if self.settings.fit == "resize":
            return resize_image(image, square)
        height, width = image.shape[:2]
        short = round(self.side / self.settings.crop_ratio)
        long = int(short * max(height, width) / min(height, width))
        image = resize_image(image, (short, long) if height <= width else (long, short))
        top, left = (round((length - self.side) / 2) for length in image.shape[:2])
        return image[top : top + self.side, left : left + self.side]

    def varied(self, image: Image, seed: int) -> Image:
        """As it is trained on."""
        if self.settings.fit == "crop":
            top, left, height, width = self._part(image.shape[0], image.shape[1], np.random.default_rng(seed))
            image = image[top : top + height, left : left + width]
        image = resize_image(image, (self.side, self.side))
        if self._augment is None:
            return image
        self._augment.set_random_seed(seed)
        return self._augment(image=image)["image"]

    def _part(self, height: int, width: int, generator: np.random.Generator) -> tuple[int, int, int, int]:
        """(top, left, height, width) of a part of random area and proportions (Szegedy et al. 2015, section 6), as
        torchvision's `RandomResizedCrop`; the middle where the image is too long for any."""
        for _ in range(_ATTEMPTS):
            area = height * width * generator.uniform(*self.settings.crop_scale)
            ratio = math.exp(generator.uniform(math.log(_RATIO[0]), math.log(_RATIO[1])))
            wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < wide <= width and 0 < high <= height:
                return int(generator.integers(height - high + 1)), int(generator.integers(width - wide + 1)), high, wide
        high, wide = min(height, round(width / _RATIO[0])), min(width, round(height * _RATIO[1]))
        return (height - high) // 2, (width - wide) // 2, high, wide
