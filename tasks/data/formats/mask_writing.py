"""A data set as folders of masks: train/images and train/masks, ..., and classes.txt."""

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.folders.writing import Lost, free_name, image_name, put_image
from tasks.data.masks.labels import BACKGROUND, IGNORE
from tasks.data.masks.polygons import object_mask


def write_masks(data: DataSet[Any], folder: Path, lost: Lost) -> None:
    """Masks of the classes, 255 being ignored; of objects their masks, or their boxes where they have none, over a
    background."""
    is_masks = all(not isinstance(samples, SampleTable) for samples in data.splits.values())
    classes = data.classes if is_masks else (BACKGROUND, *data.classes)
    for split, samples in data.splits.items():
        taken: set[PurePosixPath] = set()
        for sample in samples:
            name = free_name(PurePosixPath(image_name(sample)), taken)
            put_image(sample, folder / split / "images" / name)
            mask = sample.mask.labels() if is_masks else _objects(sample, lost)
            target = folder / split / "masks" / name.with_suffix(".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(target)
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")


def _objects(sample: Any, lost: Lost) -> np.ndarray[Any, Any]:
    """The smaller of two objects is seen where they overlap; crowd regions are ignored."""
    width, height = sample.size
    mask = np.zeros((height, width), np.uint8)
    order = sorted(range(len(sample.boxes)), key=lambda number: (not sample.crowd[number], -sample.areas[number]))
    for number in order:
        text = sample.segmentations[number] if sample.segmentations else b""
        where: Any = object_mask(text, sample.size, f"{sample.where}: object {number + 1}") if text else None
        if where is None or not where.any():
            x0, y0, x1, y1 = sample.boxes[number].round().astype(int)
            where = (slice(y0, y1), slice(x0, x1))
            lost.add("objects without a mask, whose boxes are filled")
        mask[where] = IGNORE if sample.crowd[number] else sample.labels[number] + 1
    lost.add("objects, which become the pixels of their classes", len(order))
    return mask
