"""Clean data sets in every form."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.writers import Box, Images, write_class_folders, write_coco, write_voc, write_yolo

WIDTH, HEIGHT = 64, 48
BOXES = [("red", 4, 6, 30, 40), ("white", 32, 8, 60, 30), ("red", 20, 20, 50, 44), ("white", 2, 2, 18, 20)]
SPLITS: dict[str, Images] = {
    "train": {f"t{number}": list(BOXES) for number in range(12)},
    "val": {f"v{number}": list(BOXES) for number in range(2)},
}


def clean_coco(folder: Path) -> Path:
    def with_polygons(_split: str, content: dict[str, Any]) -> None:
        for item in content["annotations"]:
            x, y, w, h = item["bbox"]
            item["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]

    return write_coco(folder, SPLITS, [(3, "white"), (7, "red")], edit=with_polygons)


def _masks(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 2)):
        for number in range(count):
            for kind in ("images", "masks"):
                (folder / split / kind).mkdir(parents=True, exist_ok=True)
            image = generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            Image.fromarray(image).save(folder / split / f"images/{number}.jpg")
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[10:30, 10:40] = 1
            Image.fromarray(mask).save(folder / split / f"masks/{number}.png")
    (folder / "classes.txt").write_text("ground\ncell\n")
    return folder


def _labelme(folder: Path) -> Path:
    return _with_images(folder, lambda name, boxes: write_json(folder / f"{name}.json", _labelme_file(name, boxes)))


def _labelme_file(name: str, boxes: Sequence[Box]) -> dict[str, Any]:
    shapes = [
        {"label": label, "points": [[x0, y0], [x1, y1]], "shape_type": "rectangle", "group_id": None}
        for label, x0, y0, x1, y1 in boxes
    ]
    return {"shapes": shapes, "imagePath": f"{Path(name).name}.png", "imageWidth": WIDTH, "imageHeight": HEIGHT}


def _label_studio(folder: Path) -> Path:
    tasks: dict[str, list[dict[str, Any]]] = {"train": [], "val": []}

    def add(name: str, boxes: Sequence[Box]) -> None:
        result = []
        for label, x0, y0, x1, y1 in boxes:
            place = {"x": 100 * x0 / WIDTH, "y": 100 * y0 / HEIGHT}
            size = {"width": 100 * (x1 - x0) / WIDTH, "height": 100 * (y1 - y0) / HEIGHT}
            value = place | size | {"rotation": 0, "rectanglelabels": [label]}
            result.append({"original_width": WIDTH, "original_height": HEIGHT, "value": value})
        split, _, stem = name.partition("/")
        tasks[split].append({"id": stem, "data": {"image": f"{name}.png"}, "annotations": [{"result": result}]})

    _with_images(folder, add)
    for split, items in tasks.items():
        write_json(folder / f"{split}.json", items)
    return folder


def _with_images(folder: Path, annotate: Callable[[str, Sequence[Box]], None]) -> Path:
    for split, images in SPLITS.items():
        (folder / split).mkdir(parents=True)
        for number, (name, boxes) in enumerate(images.items()):
            noise(seed=number + 100 * len(split)).save(folder / split / f"{name}.png")
            annotate(f"{split}/{name}", boxes)
    return folder


def write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


def noise(width: int = WIDTH, height: int = HEIGHT, seed: int = 9) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


CLEAN: dict[str, Callable[[Path], Path]] = {
    "coco": clean_coco,
    "voc": lambda folder: write_voc(folder, SPLITS),
    "yolo": lambda folder: write_yolo(folder, SPLITS, ["white", "red"]),
    "masks": _masks,
    "coco as masks": clean_coco,
    "labelme": _labelme,
    "label_studio": _label_studio,
    "folders": write_class_folders,
}
