"""The one place where an image is resized."""

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.data.transforms.augmentation import MASK_INTERPOLATION

LONG_SIDE_RATIO = 1.5  # of a detector's images, to their short side


def fit_within(height: int, width: int) -> A.BasicTransform:
    """Scales an image until it fills the height or the width, in pixels; boxes and masks with it."""
    return A.LongestMaxSize(
        max_size_hw=(height, width), area_for_downscale="image", mask_interpolation=MASK_INTERPOLATION
    )


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image (H, W, C) at `size` (height, width): averaged where it shrinks, interpolated where it grows."""
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    return _resized(image, size, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Labels (H, W) at `size` (height, width), without inventing any."""
    return _resized(mask, size, MASK_INTERPOLATION)


def _resized(array: NDArray[np.uint8], size: tuple[int, int], interpolation: int) -> NDArray[np.uint8]:
    if array.shape[:2] == size:
        return array
    resized = cv2.resize(array, (size[1], size[0]), interpolation=interpolation)
    return resized.reshape(*size, *array.shape[2:])  # type: ignore[return-value] # OpenCV drops a single channel
