"""A data set as YOLO: data.yaml, images/ and labels/."""

from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from tasks.data.dataset.splits import DataSet
from tasks.data.folders.writing import Lost, free_name, image_name, put_image, rings

_DIGITS = 10  # of a share of the image: less than a millionth of a pixel


def write_yolo(data: DataSet[Any], folder: Path, lost: Lost) -> None:
    """Objects that are one polygon each as polygons, or all as boxes where one is none."""
    polygons = all(_is_polygons(sample) for samples in data.splits.values() for sample in samples)
    for split, samples in data.splits.items():
        taken: set[PurePosixPath] = set()
        for sample in samples:
            name = free_name(PurePosixPath(image_name(sample)), taken)
            put_image(sample, folder / "images" / split / name)
            label = folder / "labels" / split / name.with_suffix(".txt")
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("".join(_lines(sample, polygons, lost)))
    names = {split: f"images/{split}" for split in data.splits}
    content = {"names": dict(enumerate(data.classes)), **names}
    (folder / "data.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _is_polygons(sample: Any) -> bool:
    if not len(sample.boxes):
        return True
    found = [rings(text) for text in sample.segmentations]
    kept = [one for one, crowd in zip(found, sample.crowd, strict=False) if not crowd]
    return bool(found) and all(one is not None and len(one) == 1 for one in kept)


def _lines(sample: Any, polygons: bool, lost: Lost) -> list[str]:
    width, height = sample.size
    lines = []
    for number, (box, label) in enumerate(zip(sample.boxes.tolist(), sample.labels.tolist(), strict=True)):
        if sample.crowd[number]:
            lost.add("crowd regions")
            continue
        if polygons:
            (ring,) = rings(sample.segmentations[number]) or [[]]
            values = [value / (height if place % 2 else width) for place, value in enumerate(ring)]
        else:
            if sample.segmentations and rings(sample.segmentations[number]) != []:
                lost.add("polygons and masks, of which the boxes are left: not each object is one polygon")
            x0, y0, x1, y1 = box
            values = [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height]
        lines.append(f"{label} {' '.join(f'{min(max(value, 0.0), 1.0):.{_DIGITS}f}' for value in values)}\n")
    return lines
