"""What people have for an image, as uint8 RGB."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from backbones import InputError
from tasks.data import AS_RGB, BY_TYPE, ChannelError, Intensity, Reading, read_image

# Arrays and tensors: (H, W), (H, W, C) or (C, H, W) of 1, 3 or 4 channels; uint8, uint16, or floats from 0 to 1.
ImageInput = str | os.PathLike[str] | Image.Image | NDArray[Any] | torch.Tensor

_CHANNELS = (1, 3, 4)
_ONE = (str, os.PathLike, Image.Image)


def is_one(images: Any) -> bool:
    """Whether this is an image, not several."""
    return isinstance(images, _ONE) or (isinstance(images, (np.ndarray, torch.Tensor)) and images.ndim <= 3)


def as_images(
    images: Iterable[ImageInput] | ImageInput, reading: Reading = AS_RGB
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Each image's name and its pixels, uint8 (H, W, C), RGB where nothing else is asked for.

    Raises:
        InputError: one is no image, or none that can be read.
    """
    for number, image in enumerate([images] if is_one(images) else images):  # type: ignore[arg-type]
        if isinstance(image, (str, os.PathLike)):
            yield str(image), read_image(Path(image), reading)
        else:
            name = f"image {number}"
            yield name, _pixels(image, name, reading)


def _pixels(image: Any, name: str, reading: Reading) -> NDArray[np.uint8]:
    if isinstance(image, Image.Image):
        if image.mode in ("I", "F") and reading.intensity == BY_TYPE:
            raise InputError(f"{name}: a PIL image of mode {image.mode}; give one of 8 or 16 bits")
        with _naming(name):
            return reading.of_image(ImageOps.exif_transpose(image))
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise InputError(
            f"{name}: {type(image).__name__} is no image; wanted are a path, a PIL image, an array or a tensor"
        )
    if reading.channels not in (1, 3):
        with _naming(name):
            return reading.of_bands(image)
    levels = _as_rgb(_as_uint8(_channels_last(image, name), name, reading.intensity))
    return levels if reading.channels == 3 else reading.of_image(Image.fromarray(levels))


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except ChannelError as error:
        raise InputError(f"{name}: {error}") from None


def _channels_last(image: NDArray[Any], name: str) -> NDArray[Any]:
    shape = " x ".join(map(str, image.shape))
    if image.ndim == 2:
        image = image[:, :, None]
    elif image.ndim != 3:
        raise InputError(f"{name}: an array of {shape}; wanted is H x W, H x W x C or C x H x W")
    first, last = image.shape[0] in _CHANNELS, image.shape[2] in _CHANNELS
    if not (first or last):
        raise InputError(f"{name}: an array of {shape} has no axis of 1, 3 or 4 channels")
    if first and last and image.shape[0] != image.shape[2]:
        raise InputError(
            f"{name}: an array of {shape} may be H x W x C or C x H x W; give a larger image or a PIL image"
        )
    if not last:
        image = image.transpose(1, 2, 0)
    if not image.size:
        raise InputError(f"{name}: an array of {shape} has no pixels")
    return image


def _as_uint8(image: NDArray[Any], name: str, intensity: Intensity) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.uint16 or intensity != BY_TYPE:
        return intensity.levels(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise InputError(f"{name}: an array of {image.dtype}; wanted is uint8, uint16, or floats from 0 to 1")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):
        raise InputError(f"{name}: floats from {low:g} to {high:g}; wanted are uint8, or floats from 0 to 1")
    return (image * 255).round().astype(np.uint8)


def _as_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey three times; alpha is dropped, as from files."""
    return np.ascontiguousarray(np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[:, :, :3])
