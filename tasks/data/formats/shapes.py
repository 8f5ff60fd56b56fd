"""The built-in data: circles, squares and triangles on a noisy ground, with exact masks and boxes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import Place
from tasks.data.labels.samples import LabelledSample, LabelledSamples
from tasks.data.masks.samples import MaskedSample, MaskedSamples

CLASSES = ("circle", "square", "triangle")
_MAX_OBJECTS = 6
_ATTEMPTS = 30
_TILT = np.deg2rad(20)


@dataclass(frozen=True)
class ShapesImage:
    """One image, fully given by its numbers.

    Args:
        seed, index: which image; the same two numbers give the same one.
        width, height: in pixels.
        most: how many objects there are at most.
        radii: the least and the largest of an object, as shares of the shorter side.
    """

    seed: int
    index: int
    width: int
    height: int
    most: int = _MAX_OBJECTS
    radii: tuple[float, float] = (0.1, 0.25)

    def render(self) -> NDArray[np.uint8]:
        """uint8 RGB (height, width, 3)."""
        return self.render_objects()[0]

    def render_objects(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[int]]:
        """The image, its mask of objects, and the objects' labels.

        Returns:
            uint8 RGB (height, width, 3); uint8 (height, width), 0 for the ground and k for object k;
            the label of object k at position k - 1.
        """
        generator = np.random.default_rng((self.seed, self.index))
        ground = generator.integers(0, 256, 3)
        mask = np.zeros((self.height, self.width), np.uint8)
        colours = [ground]
        labels: list[int] = []
        for _ in range(int(generator.integers(1, self.most + 1))):
            for _ in range(_ATTEMPTS):
                label = int(generator.integers(len(CLASSES)))
                shape = _random_shape(generator, label, self.width, self.height, self.radii)
                # Objects keep apart, so that every mask is whole and every box is its mask's.
                if shape.any() and not (mask[shape] > 0).any():
                    labels.append(label)
                    mask[shape] = len(labels)
                    colours.append(_distinct_colour(generator, ground))
                    break
        texture = generator.normal(0, 12, (self.height, self.width, 3))
        image = np.clip(np.stack(colours)[mask] + texture, 0, 255).astype(np.uint8)
        return image, mask, labels

    @property
    def name(self) -> str:
        return f"shapes-{self.seed}-{self.index:06d}"


@dataclass(frozen=True)
class ShapeMask:
    """The mask of an image: 0 for the ground, 1.. for the classes."""

    image: ShapesImage

    def labels(self) -> NDArray[np.uint8]:
        _, mask, labels = self.image.render_objects()
        return np.array([0, *(label + 1 for label in labels)], np.uint8)[mask]

    def content(self) -> bytes:
        return self.image.name.encode()


def _random_shape(
    generator: np.random.Generator, label: int, width: int, height: int, radii: tuple[float, float]
) -> NDArray[np.bool_]:
    radius = generator.uniform(*radii) * min(width, height)
    centre_x = generator.uniform(radius, width - radius)
    centre_y = generator.uniform(radius, height - radius)
    tilt = generator.uniform(-_TILT, _TILT)
    y, x = np.mgrid[:height, :width] + 0.5
    x, y = x - centre_x, y - centre_y
    if CLASSES[label] == "circle":
        return x**2 + y**2 <= radius**2
    # A regular polygon is where every edge's outward distance is at most its apothem.
    corners = 4 if CLASSES[label] == "square" else 3
    edges = np.pi / 2 + tilt + 2 * np.pi * np.arange(corners) / corners  # one edge lies below
    distance = np.stack([x * np.cos(edge) + y * np.sin(edge) for edge in edges])
    return (distance <= radius * np.cos(np.pi / corners)).all(axis=0)


def _distinct_colour(generator: np.random.Generator, ground: NDArray[np.int64]) -> NDArray[np.int64]:
    while True:
        colour = generator.integers(0, 256, 3)
        if np.abs(colour - ground).sum() > 150:
            return colour


def shapes_data(count: int, side: int, seed: int = 0) -> DataSet[Sample]:
    """`count` square images to train on and a tenth as many (at least 16) to validate.

    Args:
        side: of an image in pixels.
        seed: the two splits never share an image, whatever it is.
    """
    images = _images(count, side, seed)
    return DataSet(
        "built-in shapes", CLASSES, {"train": shape_samples(images[:count]), "val": shape_samples(images[count:])}
    )


def shape_samples(images: Sequence[ShapesImage]) -> SampleTable:
    """The images with their objects' boxes, labels, areas and polygons."""
    objects = Objects()
    for number, image in enumerate(images):
        _, mask, labels = image.render_objects()
        for shape, label in enumerate(labels, start=1):
            rows, columns = np.nonzero(mask == shape)
            box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
            objects.add(number, box, label, area=float(len(rows)))
            objects.segmentations.append(_run_lengths(mask == shape))
    sizes = [(image.width, image.height) for image in images]
    names = [image.name for image in images]
    return build_table(names, images, sizes, objects, lambda number: Place(f"shape {number}"))


def _run_lengths(mask: NDArray[np.bool_]) -> bytes:
    packed = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return msgspec.json.encode({"size": packed["size"], "counts": packed["counts"].decode()})


def masked_shapes_data(count: int, side: int, seed: int = 0) -> DataSet[MaskedSample]:
    """The images of `shapes_data` with masks of four classes: the ground and the three shapes."""
    images = _images(count, side, seed)
    samples = [MaskedSample(image.name, image, ShapeMask(image)) for image in images]
    splits = {"train": MaskedSamples.of(samples[:count]), "val": MaskedSamples.of(samples[count:])}
    return DataSet("built-in shapes", ("background", *CLASSES), splits)


def labelled_shapes_data(count: int, side: int, seed: int = 0) -> DataSet[LabelledSample]:
    """As many images of a single, larger shape each, whose class is the shape."""
    images = [replace(image, most=1, radii=(0.25, 0.45)) for image in _images(count, side, seed)]
    labels = np.array([image.render_objects()[2][0] for image in images], np.int64)
    samples = LabelledSamples([image.name for image in images], images, labels)
    splits = {"train": samples.take(range(count)), "val": samples.take(range(count, len(images)))}
    return DataSet("built-in shapes", CLASSES, splits)


def _images(count: int, side: int, seed: int) -> list[ShapesImage]:
    return [ShapesImage(seed, index, side, side) for index in range(count + max(16, count // 10))]
