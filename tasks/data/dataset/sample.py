"""One image with its objects."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from backbones import InputError
from tasks.data.images import check_size, read_image
from tasks.data.reading import AS_RGB, ChannelError, Reading

Image = NDArray[np.uint8]


class Renderable(Protocol):
    """An image that is computed, not read."""

    def render(self) -> Image: ...


def read_source(source: Path | Renderable, reading: Reading) -> Image:
    """The image as uint8 (H, W, C); what is rendered is RGB."""
    if isinstance(source, Path):
        return read_image(source, reading)
    try:
        return reading.of_image(PIL.Image.fromarray(source.render()))
    except ChannelError as error:
        raise InputError(f"the built-in image {error}") from None


@dataclass(frozen=True)
class Sample:
    """An image with its objects.

    Attributes:
        name: the image's file name within its split.
        source: the file, or what renders the image.
        size: (width, height) in pixels.
        boxes: (n, 4) float64, x_min y_min x_max y_max in pixels of the image, inside it, with area.
        labels: (n,) int64, positions in the data set's classes.
        areas: (n,) float64, of the object in square pixels (its mask's, where there is one).
        crowd: (n,) bool, regions to ignore: neither objects nor background.
        segmentations: n polygons or run lengths as COCO writes them, JSON text, each perhaps empty; or none at all.
        unlabelled: the labels that nobody looked for on this image: it may show such objects.
    """

    name: str
    source: Path | Renderable
    size: tuple[int, int]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    segmentations: tuple[bytes, ...] = ()
    unlabelled: tuple[int, ...] = ()

    @property
    def file(self) -> Path | None:
        """Of the image, unless it is rendered."""
        return self.source if isinstance(self.source, Path) else None

    @property
    def where(self) -> str:
        """What messages call it."""
        return str(self.file or self.name)

    def content(self) -> bytes:
        """What is annotated; another annotation is other bytes."""
        arrays = (self.boxes, self.labels, self.crowd)
        return b"/".join([*(array.tobytes() for array in arrays), *self.segmentations])

    def read(self, reading: Reading = AS_RGB) -> Image:
        """The image as uint8 (H, W, C), RGB where nothing else is asked for.

        Raises:
            InputError: the file is unreadable, or not of the size that its annotation gives.
        """
        image = read_source(self.source, reading)
        if isinstance(self.source, Path):
            check_size(self.source, (image.shape[1], image.shape[0]), self.size)
        return image
