"""How image files become what a backbone takes: its channels, and the levels of deep images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from tasks.data.intensity import BY_TYPE, Intensity, is_deep

RGB = 3
_GREY, _RGBA = 1, 4
_PLANE, _CUBE = 2, 3  # dimensions of a single band, and of several
TIFF = (".tif", ".tiff")


class ChannelError(Exception):
    """An image has not the channels that are wanted."""


@dataclass(frozen=True)
class Reading:
    """Attributes:
    channels: 3 is RGB, 1 grey, 4 RGB with opacity; these and any other number are also the bands of a TIFF.
    intensity: of images of more than 8 bits.
    """

    channels: int = RGB
    intensity: Intensity = BY_TYPE

    def of_image(self, image: Image.Image) -> NDArray[np.uint8]:
        """uint8 (H, W, channels) of an upright image. Grey becomes three equal channels, colours become grey.

        Raises:
            ChannelError: it has others.
        """
        if is_deep(image):
            levels = self.intensity.levels(np.asarray(image))[:, :, None]
            if self.channels not in (_GREY, RGB):
                raise ChannelError(f"has 1 channel, the backbone takes {self.channels}")
            return np.repeat(levels, self.channels, axis=2)
        if self.channels == RGB:
            return np.array(image.convert("RGB"))
        if self.channels == _GREY:
            return np.array(image.convert("L"))[:, :, None]
        bands = np.asarray(image)
        if self.channels == _RGBA and bands.ndim == _CUBE and bands.shape[2] == _RGBA:
            return np.array(bands)
        raise ChannelError(f"has {len(image.getbands())} channels, the backbone takes {self.channels}")

    def of_bands(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """uint8 (H, W, channels) of an array (H, W), (H, W, C) or (C, H, W).

        Raises:
            ChannelError: it has others.
        """
        values = values[:, :, None] if values.ndim == _PLANE else values
        if values.ndim == _CUBE and values.shape[2] != self.channels and values.shape[0] == self.channels:
            values = values.transpose(1, 2, 0)
        if values.ndim != _CUBE or values.shape[2] != self.channels:
            shape = " x ".join(map(str, values.shape))
            raise ChannelError(f"is an array of {shape}, the backbone takes {self.channels} channels")
        return np.ascontiguousarray(values if values.dtype == np.uint8 else self.intensity.levels(values))

    def takes_bands(self, path: Path) -> bool:
        """Whether a file is read as bands: a TIFF, where neither colours nor grey are wanted."""
        return self.channels not in (_GREY, RGB) and path.suffix.lower() in TIFF


AS_RGB = Reading()


def read_bands(path: Path) -> NDArray[np.generic]:
    """All bands of a TIFF, or its pages.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    try:
        bands = np.asarray(tifffile.imread(path))
    except (tifffile.TiffFileError, KeyError) as error:
        raise ValueError(str(error)) from None
    if not bands.size:
        raise ValueError("it holds no image")
    return bands


def size_of_bands(path: Path) -> tuple[int, int]:
    """(width, height) of a TIFF by its header.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            return int(page.imagewidth), int(page.imagelength)  # type: ignore[union-attr]
    except (tifffile.TiffFileError, IndexError, KeyError) as error:
        raise ValueError(str(error)) from None


def shown(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of an image with any channels, to look at: grey three times, or the first three."""
    if image.shape[2] < RGB:
        return np.repeat(image[:, :, :1], RGB, axis=2)
    return np.ascontiguousarray(image[:, :, :RGB])
