"""Images as a classifier takes them: a random part to train on, the middle to evaluate with."""

import albumentations as A
import numpy as np
import torch
from torch import Tensor

from backbones import InputError
from tasks.config import ClassificationData
from tasks.data import AS_RGB, Image, LabelledSample, Reading, load_augmentation, resize_image, strictly


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
            self._augment = A.Compose([*([self._random_part()] if settings.fit == "crop" else []), *steps])

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
        if self.settings.fit == "resize":
            image = resize_image(image, (self.side, self.side))
        self._augment.set_random_seed(seed)
        return self._augment(image=image)["image"]

    def _random_part(self) -> A.BasicTransform:
        """A part of random area and proportions (Szegedy et al. 2015, section 6), as torchvision's
        `RandomResizedCrop`."""
        return A.RandomResizedCrop((self.side, self.side), self.settings.crop_scale, area_for_downscale="image")
