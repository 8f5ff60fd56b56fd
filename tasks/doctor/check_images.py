"""Image files: opened, decoded and compared."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from tasks.data import (
    IMAGE_SUFFIXES,
    UNREADABLE,
    DataError,
    DataSet,
    Finding,
    Reading,
    check_size,
    is_deep,
    is_turned,
    read_image,
)

# Passes items through, for a progress bar; its second argument says what they are.
Progress = Callable[[Any, str], Iterable[Any]]


@dataclass(frozen=True)
class _Look:
    split: str
    path: Path
    digest: bytes
    findings: tuple[Finding, ...]
    kinds: frozenset[str]
    label: int | None = None


def image_findings(data: DataSet[Any], progress: Progress, reading: Reading) -> list[Finding]:
    """Everything about the files alone; each is read whole."""
    known = {finding.image for finding in data.findings}  # the reader may have left some out
    files = [
        (split, sample.source, getattr(sample, "size", None), getattr(sample, "label", None))
        for split, samples in data.splits.items()
        for sample in samples
        if isinstance(sample.source, Path)
    ]
    with ThreadPoolExecutor() as pool:  # decoding leaves Python's lock alone
        looks = list(progress(pool.map(partial(_look, reading), *zip(*files, strict=True)), "images")) if files else []
    found = [finding for look in looks for finding in look.findings]
    grey = [look for look in looks if "image-grey" in look.kinds]
    for look in looks:
        for kind in sorted(look.kinds - ({"image-grey"} if len(grey) == len(looks) else set())):
            found.append(Finding(kind, str(look.path), look.path))
    return found + list(_copies(looks)) + list(_unlisted({look.path for look in looks}, known))


def _look(reading: Reading, split: str, path: Path, annotated: tuple[int, int] | None, label: int | None) -> _Look:
    try:
        digest = hashlib.blake2b(path.read_bytes()).digest()
        image = read_image(path, reading)
        if annotated is not None:
            check_size(path, (image.shape[1], image.shape[0]), annotated)
        return _Look(split, path, digest, (), frozenset(_kinds(path)), label)
    except DataError as error:
        return _Look(split, path, digest, (error.finding,), frozenset())
    except UNREADABLE:
        return _Look(split, path, b"", (), frozenset())  # the reader has found it missing


def _kinds(path: Path) -> Iterator[str]:
    with suppress(UnidentifiedImageError), Image.open(path) as file:  # bands that Pillow does not know are of no kind
        if is_turned(file):
            yield "image-turned"
        if file.mode == "P":
            yield "image-palette"
        if file.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in file.info:
            yield "image-alpha"
        if file.mode in ("1", "L", "LA"):
            yield "image-grey"
        if is_deep(file):
            yield "image-deep"
        if file.mode == "CMYK":
            yield "image-cmyk"


def _copies(looks: list[_Look]) -> Iterator[Finding]:
    first: dict[bytes, _Look] = {}
    for look in looks:
        if not look.digest:
            continue
        other = first.setdefault(look.digest, look)
        if other.split != look.split:
            line = f"{look.path}: {look.split} has the same image as {other.split}, {other.path}"
            yield Finding("image-leaked", line, look.path)
        elif other.path != look.path:
            yield Finding("image-twice", f"{look.path}: is byte for byte {other.path}", look.path)
        if other.label != look.label:
            yield Finding(
                "image-two-classes", f"{look.path}: is of another class than its copy {other.path}", look.path
            )


def _unlisted(listed: set[Path], known: set[Path | None]) -> Iterator[Finding]:
    for folder in sorted({path.parent for path in listed if path.parent.is_dir()}):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in IMAGE_SUFFIXES and path not in listed and path not in known:
                yield Finding("image-unlisted", f"{path}: no split lists it", path)
