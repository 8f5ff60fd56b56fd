"""The images and objects of the layouts: 8 images of train, 2 of val and 2 of test.

Each holds one or two bright rectangles on dark noise, `cell` or `nucleus`, so that what a reader finds can be counted
in the images themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("cell", "nucleus")
WIDTH, HEIGHT = 64, 48
COUNTS = {"train": 8, "val": 2, "test": 2}
_LETTERS = {"train": "a", "val": "b", "test": "c"}

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Example:
    """An image with its objects: (class, x_min, y_min, x_max, y_max) each."""

    name: str
    split: str
    objects: tuple[tuple[int, Box], ...]

    def pixels(self) -> np.ndarray[Any, Any]:
        seed = sum(map(ord, self.name))
        image = np.random.default_rng(seed).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        for label, (x0, y0, x1, y1) in self.objects:
            image[y0:y1, x0:x1] = 150 + 60 * label
        return image

    def mask(self, values: tuple[int, int, int] = (0, 1, 2)) -> np.ndarray[Any, Any]:
        mask = np.full((HEIGHT, WIDTH), values[0], np.uint8)
        for label, (x0, y0, x1, y1) in self.objects:
            mask[y0:y1, x0:x1] = values[label + 1]
        return mask

    def numbered(self) -> np.ndarray[Any, Any]:
        mask = np.zeros((HEIGHT, WIDTH), np.uint16)
        for number, (_, (x0, y0, x1, y1)) in enumerate(self.objects, start=1):
            mask[y0:y1, x0:x1] = 300 * number
        return mask


def _examples() -> Iterator[Example]:
    for split, count in COUNTS.items():
        for number in range(count):
            first = (number % 2, (4 + number, 6, 24 + number, 30))
            second = ((number + 1) % 2, (38, 10 + number, 58, 40))
            yield Example(f"{_LETTERS[split]}_{number + 10}", split, (first, second) if number % 3 else (first,))


EXAMPLES = tuple(_examples())
OBJECTS = {split: sum(len(one.objects) for one in EXAMPLES if one.split == split) for split in COUNTS}


def save(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def write_images(folder: Path, place: str, suffix: str = ".jpg") -> None:
    """`place` may hold {split}."""
    for one in EXAMPLES:
        save(folder / place.format(split=one.split) / f"{one.name}{suffix}", one.pixels())


def only(*splits: str) -> list[Example]:
    return [one for one in EXAMPLES if one.split in splits]


def clutter(folder: Path) -> None:
    """What systems and editors leave in every folder: copies of files, under other names and in hidden folders."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        (path.parent / f"._{path.name}").write_bytes(b"Mac OS X")
        (path.parent / ".DS_Store").write_bytes(b"\0")
        (path.parent / "Thumbs.db").write_bytes(b"\0")
        for hidden in (".ipynb_checkpoints", "@eaDir", "__MACOSX"):
            copy = path.parent / hidden / path.name
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
