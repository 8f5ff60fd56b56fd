"""What the doctor shows: the worst pictures, and pictures as training will see them."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backbones.errors import InputError
from tasks.config import DataSettings
from tasks.create import create_transform
from tasks.data.doctor import Examination
from tasks.data.faults import LEVELS, Fault
from tasks.data.pictures import read_picture
from tasks.data.samples import DataSet
from tasks.data.transforms import sample_seed
from tasks.report.pictures import class_colour, draw_boxes, draw_labels
from tasks.report.sheets import contact_sheet, picture_page

_PICTURES_SHOWN = 24
_VERSIONS_SHOWN = 4
_RED = (255, 0, 0)


def worst_pictures(found: Examination) -> tuple[str, str] | None:
    """An HTML page of the pictures with the most and the gravest faults, and its title; None where no fault is about
    a picture."""
    of_picture: dict[Path, list[Fault]] = {}
    for finding in found.findings:
        for fault in finding.faults:
            if fault.picture is not None:
                of_picture.setdefault(fault.picture, []).append(fault)
    if not of_picture:
        return None

    def gravity(picture: Path) -> tuple[int, ...]:
        return tuple(-sum(fault.level == level for fault in of_picture[picture]) for level in LEVELS)

    entries = []
    for picture in sorted(of_picture, key=gravity)[:_PICTURES_SHOWN]:
        lines = [f"{fault.level}: {fault.message.removeprefix(f'{picture}: ')}" for fault in of_picture[picture]]
        entries.append((picture.name, lines, _with_boxes(picture, of_picture[picture])))
    title = f"{len(entries)} of {len(of_picture)} pictures with findings"
    return picture_page(title, entries), title


def _with_boxes(picture: Path, faults: list[Fault]) -> Image.Image | None:
    """The picture with the boxes that are at fault, or None where it cannot be read."""
    try:
        image = Image.fromarray(read_picture(picture))
    except InputError:
        return None
    boxes = [np.array(fault.box) for fault in faults if fault.box is not None]
    farthest = 2 * max(image.size)  # what lies beyond is as invisible there, and no trouble to draw
    shown = [np.clip(box, -farthest, farthest).tolist() for box in boxes if np.isfinite(box).all()]
    return draw_boxes(image, [(box, "", _RED) for box in shown])


def augmentation_sheet(data: DataSet[Any], task: str, settings: DataSettings, count: int) -> Image.Image | None:
    """The first pictures of train, a row each: as they are, and as they will be seen in the first epochs; None where
    none of them can be read."""
    train = data.splits["train"]
    plain = create_transform(task, settings, train=False)
    augmented = create_transform(task, settings, train=True, others=train)
    rows = []
    for index in range(min(count, len(train))):
        with contextlib.suppress(InputError):  # the findings tell of it
            versions = [_shown(augmented, data, index, epoch) for epoch in range(_VERSIONS_SHOWN)]
            rows.append([_shown(plain, data, index, 0), *versions])
    return contact_sheet(rows) if rows else None


def _shown(transform: Any, data: DataSet[Any], index: int, epoch: int) -> Image.Image:
    picture, target, _ = transform(data.splits["train"][index], sample_seed(0, epoch, index))
    image = picture.permute(1, 2, 0).numpy()
    if "mask" in target:
        # A picture as it is may have been scaled for the model; its mask is judged as it was.
        size = (image.shape[1], image.shape[0])
        mask = Image.fromarray(target["mask"].numpy()).resize(size, Image.Resampling.NEAREST)
        return draw_labels(image, np.asarray(mask), data.classes)
    rows = zip(target["boxes"].tolist(), target["labels"].tolist(), strict=True)
    return draw_boxes(Image.fromarray(image), [(box, data.classes[label], class_colour(label)) for box, label in rows])
