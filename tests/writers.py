"""Small data sets in the formats that are read, written by code."""

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import Place

Box = tuple[str, float, float, float, float]  # class, x_min, y_min, x_max, y_max
Images = dict[str, list[Box]]  # file stem -> boxes


def save_image(path: Path, width: int = 64, height: int = 48) -> None:
    """Noise of its own for every name, the same in every format."""
    seed = zlib.crc32(path.name.encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def write_voc(folder: Path, splits: dict[str, Images], *, width: int = 64, height: int = 48) -> Path:
    """A Pascal VOC folder; coordinates go in as they are given."""
    for directory in ("Annotations", "ImageSets/Main"):
        (folder / directory).mkdir(parents=True, exist_ok=True)
    for split, images in splits.items():
        (folder / "ImageSets/Main" / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in images))
        for stem, boxes in images.items():
            save_image(folder / "JPEGImages" / f"{stem}.jpg", width, height)
            objects = "".join(
                f"<object><name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
                f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
                for name, x0, y0, x1, y1 in boxes
            )
            (folder / "Annotations" / f"{stem}.xml").write_text(
                f"<annotation><filename>{stem}.jpg</filename><size><width>{width}</width>"
                f"<height>{height}</height><depth>3</depth></size>{objects}</annotation>"
            )
    return folder


def write_coco(
    folder: Path,
    splits: dict[str, Images],
    categories: Sequence[tuple[int, str]],
    *,
    width: int = 64,
    height: int = 48,
    edit: Callable[[str, dict[str, Any]], None] = lambda split, content: None,
) -> Path:
    """A COCO folder; `edit` may spoil a split's content before it is written."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    ids = {name: key for key, name in categories}
    for split, images in splits.items():
        content: dict[str, Any] = {
            "images": [],
            "annotations": [],
            "categories": [{"id": key, "name": name} for key, name in categories],
        }
        for number, (stem, boxes) in enumerate(images.items(), start=1):
            save_image(folder / split / f"{stem}.jpg", width, height)
            content["images"].append({"id": number, "file_name": f"{stem}.jpg", "width": width, "height": height})
            for name, x0, y0, x1, y1 in boxes:
                content["annotations"].append(
                    {
                        "id": len(content["annotations"]) + 1,
                        "image_id": number,
                        "category_id": ids[name],
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "area": (x1 - x0) * (y1 - y0),
                        "iscrowd": 0,
                    }
                )
        edit(split, content)
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return folder


def write_yolo(
    folder: Path, splits: dict[str, Images], names: Sequence[str], *, width: int = 64, height: int = 48
) -> Path:
    """A YOLO folder."""
    places = {split: f"images/{split}" for split in splits}
    for split, images in splits.items():
        (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
        for stem, boxes in images.items():
            save_image(folder / "images" / split / f"{stem}.jpg", width, height)
            lines = [
                f"{names.index(name)} {(x0 + x1) / 2 / width:.9f} {(y0 + y1) / 2 / height:.9f} "
                f"{(x1 - x0) / width:.9f} {(y1 - y0) / height:.9f}\n"
                for name, x0, y0, x1, y1 in boxes
            ]
            (folder / "labels" / split / f"{stem}.txt").write_text("".join(lines))
    (folder / "data.yaml").write_text(json.dumps({"names": list(names), **places}))
    return folder


def make_samples(
    *images: Sequence[tuple[float, float, float, float]],
    labels: Sequence[int] = (),
    crowd: Sequence[int] = (),
    size: tuple[int, int] = (100, 100),
    folder: Path = Path("nowhere"),
) -> SampleTable:
    """Samples 0.jpg, 1.jpg, ... with these boxes; objects are numbered through in `labels` and `crowd`."""
    objects = Objects()
    for image, boxes in enumerate(images):
        for box in boxes:
            number = len(objects.boxes)
            objects.add(image, box, labels[number] if labels else 0, crowd=number in crowd)
    names = [f"{number:04d}.jpg" for number in range(len(images))]
    return build_table(names, folder, [size] * len(names), objects, lambda number: Place(f"object {number}"))


CELLS: dict[str, Images] = {
    "train": {"b": [("red", 4, 6, 30, 40), ("white", 32, 8, 60, 30)], "a": [("red", 10, 10, 40, 44)]},
    "val": {"c": [("white", 5, 5, 25, 35)]},
}


def write_class_folders(
    folder: Path, counts: dict[str, int] | None = None, classes: Sequence[str] = ("cat", "dog", "fox")
) -> Path:
    """Images of noise in a folder for each class; of the last class two fewer, as far as there are more.

    Args:
        counts: of a class in each split; "" for a folder without splits.
    """
    for split, count in (counts or {"train": 12, "val": 2}).items():
        for label, name in enumerate(classes):
            for number in range(count if label < len(classes) - 1 else max(2, count - 2)):
                file = folder / split / name / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                generator = np.random.default_rng((label, number, len(split)))
                Image.fromarray(generator.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(file)
    return folder
