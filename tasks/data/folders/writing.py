"""What every format's writer does alike: images into place, and an account of what a format has no room for."""

import shutil
from collections import Counter
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from PIL import Image

from backbones import InputError


class Lost:
    """What a format has no room for, counted."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, what: str, count: int = 1) -> None:
        if count:
            self._counts[what] += count

    def lines(self) -> list[str]:
        return [f"{count} {what}" for what, count in self._counts.items()]


def put_image(sample: Any, target: Path) -> None:
    """The file as it is; one that is made on the fly is written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(sample.source, Path):
        shutil.copyfile(sample.source, target)
    else:
        Image.fromarray(sample.read()).save(target)


def image_name(sample: Any) -> str:
    return str(sample.name) if isinstance(sample.source, Path) else f"{sample.name}.png"


def free_name(name: PurePosixPath, taken: set[PurePosixPath]) -> PurePosixPath:
    """A name whose stem no image beside it has yet: annotations go by stems. It is taken then."""
    free = name
    for number in count(2):
        if free.with_suffix("") not in taken:
            break
        free = name.with_stem(f"{name.stem}-{number}")
    taken.add(free.with_suffix(""))
    return free


def new_folder(folder: Path) -> None:
    """Make the folder.

    Raises:
        InputError: it is there and holds something, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        filled = any(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to: {error.strerror}") from None
    if filled:
        raise InputError(f"{folder}: is not empty; give another folder")


def rings(segmentation: bytes) -> list[list[float]] | None:
    """The polygons of an object, none for nothing; None for run lengths."""
    content: Any = msgspec.json.decode(segmentation) if segmentation else []
    return None if isinstance(content, dict) else list(content or [])
