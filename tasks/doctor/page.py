"""What the doctor shows: the worst images, and images as training will see them."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backbones import InputError
from tasks.assembly import find_task
from tasks.config import DataSettings
from tasks.data import LEVELS, DataSet, Finding, found_range, read_image, sample_seed, shown
from tasks.doctor.examination import Examination
from tasks.drawing import class_colour, contact_sheet, draw_boxes, draw_labels, draw_scores
from tasks.report import image_page

_MOST_IMAGES = 24
_EPOCHS = 4
_RED = (255, 0, 0)


def worst_images(found: Examination) -> tuple[str, str] | None:
    """An HTML page of the images with the most and the gravest findings, and its title; None where no finding is about
    an image."""
    of_image: dict[Path, list[Finding]] = {}
    for group in found.groups:
        for finding in group.findings:
            if finding.image is not None:
                of_image.setdefault(finding.image, []).append(finding)
    if not of_image:
        return None

    def gravity(image: Path) -> tuple[int, ...]:
        return tuple(-sum(finding.level == level for finding in of_image[image]) for level in LEVELS)

    entries = []
    for image in sorted(of_image, key=gravity)[:_MOST_IMAGES]:
        lines = [f"{finding.level}: {finding.message.removeprefix(f'{image}: ')}" for finding in of_image[image]]
        entries.append((image.name, lines, _with_boxes(image, of_image[image])))
    title = f"the worst {len(entries)} of the {len(of_image)} images with findings"
    if found.data is not None:
        title += f", of {sum(map(len, found.data.splits.values()))} in all"
    return image_page(title, entries), title


def _with_boxes(path: Path, findings: list[Finding]) -> Image.Image | None:
    """The image with the boxes that are wrong, or None where it cannot be read."""
    try:
        image = Image.fromarray(read_image(path))
    except InputError:
        return None
    boxes = [np.array(finding.box) for finding in findings if finding.box is not None]
    farthest = 2 * max(image.size)  # what lies beyond is as invisible there, and no trouble to draw
    finite = [np.clip(box, -farthest, farthest).tolist() for box in boxes if np.isfinite(box).all()]
    return draw_boxes(image, [(box, "", _RED) for box in finite])


def augmentation_sheet(
    data: DataSet[Any], task: str, settings: DataSettings, count: int, channels: int
) -> Image.Image | None:
    """The first images of train, a row each: as they are, and as they will be seen in the first epochs; None where
    none of them can be read."""
    train = data.splits["train"]
    if settings.intensity == "auto" and (found := found_range(train)):
        settings = settings.model_copy(update={"intensity": found})
    plain = find_task(task).transform(settings, train=False, channels=channels)
    augmented = find_task(task).transform(settings, train=True, others=train, channels=channels)
    rows = []
    for index in range(min(count, len(train))):
        with contextlib.suppress(InputError):  # the findings name it
            versions = [_annotated(augmented, data, index, epoch) for epoch in range(_EPOCHS)]
            rows.append([_annotated(plain, data, index, 0), *versions])
    return contact_sheet(rows) if rows else None


def _annotated(transform: Any, data: DataSet[Any], index: int, epoch: int) -> Image.Image:
    tensor, target, _ = transform(data.splits["train"][index], sample_seed(0, epoch, index))
    image = shown(tensor.permute(1, 2, 0).numpy())
    if "mask" in target:
        # An image as it is may have been scaled for the model; its mask is evaluated as it was.
        size = (image.shape[1], image.shape[0])
        mask = Image.fromarray(target["mask"].numpy()).resize(size, Image.Resampling.NEAREST)
        return draw_labels(image, np.asarray(mask), data.classes)
    if "label" in target:
        label = int(target["label"])
        return draw_scores(image, [(data.classes[label], label, 1.0)])
    rows = zip(target["boxes"].tolist(), target["labels"].tolist(), strict=True)
    return draw_boxes(Image.fromarray(image), [(box, data.classes[label], class_colour(label)) for box, label in rows])
