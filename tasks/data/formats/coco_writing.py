"""A data set as COCO: a file a split, its images in a folder of its name."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.folders.writing import Lost, image_name, put_image
from tasks.data.masks.labels import BACKGROUND, IGNORE
from tasks.data.masks.polygons import packed_runs


def write_coco(data: DataSet[Any], folder: Path, lost: Lost) -> None:
    """annotations/instances_train.json and train/, ...; of masks of classes a region of run lengths for each class on
    an image, and a crowd region for what is ignored."""
    (folder / "annotations").mkdir(parents=True)
    for split, samples in data.splits.items():
        numbers = data.category_ids.get(split) or tuple(range(1, len(data.classes) + 1))
        known = max(numbers, default=0)
        numbers = tuple(number if number >= 0 else known + 1 + k for k, number in enumerate(numbers))
        is_masks = not isinstance(samples, SampleTable)
        categories = [
            {"id": number, "name": name}
            for number, name in zip(numbers, data.classes, strict=True)
            if not (is_masks and name == BACKGROUND)
        ]
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        ids = getattr(samples, "ids", None)
        for position, sample in enumerate(samples):
            image_id = position + 1 if ids is None else msgspec.json.decode(ids.raw(position))
            put_image(sample, folder / split / image_name(sample))
            items, (width, height) = (
                _regions(sample, data.classes, numbers) if is_masks else (_objects(sample, numbers), sample.size)
            )
            images.append({"id": image_id, "file_name": image_name(sample), "width": width, "height": height})
            for item in items:
                annotations.append({"id": len(annotations) + 1, "image_id": image_id} | item)
        content = {"images": images, "annotations": annotations, "categories": categories}
        (folder / "annotations" / f"instances_{split}.json").write_bytes(msgspec.json.encode(content))
    if not all(isinstance(samples, SampleTable) for samples in data.splits.values()):
        lost.add("classes of masks, whose regions on an image become one object each", len(data.classes))


def _objects(sample: Any, numbers: tuple[int, ...]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    texts = sample.segmentations or [b""] * len(sample.boxes)
    for box, label, area, crowd, text in zip(
        sample.boxes.tolist(), sample.labels, sample.areas, sample.crowd, texts, strict=True
    ):
        item: dict[str, Any] = {
            "category_id": numbers[label],
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "area": float(area),
            "iscrowd": int(crowd),
        }
        if text:
            item["segmentation"] = msgspec.Raw(text)
        items.append(item)
    return items


def _regions(
    sample: Any, classes: tuple[str, ...], numbers: tuple[int, ...]
) -> tuple[list[dict[str, Any]], tuple[int, int]]:
    """A region for each class, and the (width, height) of the mask."""
    labels = sample.mask.labels()
    height, width = labels.shape
    items: list[dict[str, Any]] = []
    for label in np.unique(labels).tolist():
        ignored = label == IGNORE
        if not ignored and classes[label] == BACKGROUND:
            continue
        columns, rows = np.nonzero((labels == label).T)
        runs = packed_runs(columns.astype(np.int64) * height + rows, (width, height))
        left, top = int(columns.min()), int(rows.min())
        items.append(
            {
                "category_id": next(n for n, name in zip(numbers, classes, strict=True) if name != BACKGROUND)
                if ignored
                else numbers[label],
                "bbox": [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top],
                "area": len(rows),
                "iscrowd": int(ignored),
                "segmentation": {"size": [height, width], "counts": runs},
            }
        )
    return items, (width, height)
