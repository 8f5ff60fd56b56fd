"""COCO files of any size, made up."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

CLASSES = 80
WIDTH, HEIGHT = 64, 48
_OBJECTS_PER_IMAGE = 7.3  # as COCO's 860,000 on 118,000
_CROWDS = 0.012
_CORNERS = 22


def coco_content(images: int, seed: int = 0, polygons: bool = True) -> dict[str, Any]:
    """The content of an annotation file with as many objects, crowds and corners as COCO's has."""
    generator = np.random.default_rng(seed)
    count = round(images * _OBJECTS_PER_IMAGE)
    corner = generator.uniform(0, [WIDTH - 8, HEIGHT - 8], (count, 2))
    side = generator.uniform(4, [WIDTH, HEIGHT] - corner)
    crowd = generator.random(count) < _CROWDS
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    circle = np.column_stack([np.cos(angle), np.sin(angle)]) / 2 + 0.5
    boxes = np.hstack([corner, side]).round(2)
    annotations = []
    rows = zip(
        generator.integers(images, size=count).tolist(),
        generator.integers(CLASSES, size=count).tolist(),
        boxes.tolist(),
        crowd.tolist(),
        strict=True,
    )
    for number, (image, label, box, is_crowd) in enumerate(rows, start=1):
        annotation = {
            "id": number,
            "image_id": image + 1,
            "category_id": label + 1,
            "bbox": box,
            "area": round(box[2] * box[3] * 0.75, 2),
            "iscrowd": int(is_crowd),
        }
        if polygons:
            polygon = (circle * box[2:] + box[:2]).round(2).reshape(-1).tolist()
            annotation["segmentation"] = [polygon]
        annotations.append(annotation)
    return {
        "images": [
            {"id": number, "file_name": f"{number:012d}.jpg", "width": WIDTH, "height": HEIGHT}
            for number in range(1, images + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": label, "name": f"class {label}"} for label in range(1, CLASSES + 1)],
    }


def write_coco_folder(folder: Path, images: int) -> None:
    """A COCO folder; its images are links to one."""
    file = folder / "image.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(file)
    for split, count in (("train", images), ("val", 20)):
        content = coco_content(count)
        (folder / split).mkdir(exist_ok=True)
        for image in content["images"]:
            link = folder / split / image["file_name"]
            link.unlink(missing_ok=True)
            link.symlink_to(file)
        (folder / f"annotations/instances_{split}.json").write_bytes(msgspec.json.encode(content))
