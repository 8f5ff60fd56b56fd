"""Picture files: opened, decoded and compared."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tasks.data.faults import DataError, Fault
from tasks.data.pictures import PICTURES, UNREADABLE, check_size, is_turned, read_picture
from tasks.data.samples import DataSet

Watch = Callable[[Any, str], Iterable[Any]]

_DEEP = ("I", "F")


@dataclass(frozen=True)
class _Look:
    split: str
    path: Path
    digest: bytes
    faults: tuple[Fault, ...]
    kinds: frozenset[str]


def picture_faults(data: DataSet[Any], watch: Watch) -> list[Fault]:
    """Everything about the files alone; each is read whole."""
    known = {fault.picture for fault in data.faults}  # the reader may have left some out
    files = [
        (split, sample.source, getattr(sample, "size", None))
        for split, samples in data.splits.items()
        for sample in samples
        if isinstance(sample.source, Path)
    ]
    with ThreadPoolExecutor() as pool:  # decoding leaves Python's lock alone
        looks = list(watch(pool.map(_look, *zip(*files, strict=True)), "pictures")) if files else []
    found = [fault for look in looks for fault in look.faults]
    grey = [look for look in looks if "picture-grey" in look.kinds]
    for look in looks:
        for kind in sorted(look.kinds - ({"picture-grey"} if len(grey) == len(looks) else set())):
            found.append(Fault(kind, str(look.path), look.path))
    return found + list(_copies(looks)) + list(_unlisted({look.path for look in looks}, known))


def _look(split: str, path: Path, told: tuple[int, int] | None) -> _Look:
    try:
        digest = hashlib.blake2b(path.read_bytes()).digest()
        image = read_picture(path)
        if told is not None:
            check_size(path, (image.shape[1], image.shape[0]), told)
        return _Look(split, path, digest, (), frozenset(_kinds(path)))
    except DataError as error:
        return _Look(split, path, digest, (error.fault,), frozenset())
    except UNREADABLE:
        return _Look(split, path, b"", (), frozenset())  # the reader has found it missing


def _kinds(path: Path) -> Iterator[str]:
    with Image.open(path) as file:
        if is_turned(file):
            yield "picture-turned"
        if file.mode == "P":
            yield "picture-palette"
        if file.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in file.info:
            yield "picture-alpha"
        if file.mode in ("1", "L", "LA"):
            yield "picture-grey"
        if file.mode.startswith(_DEEP):
            yield "picture-deep"
        if file.mode == "CMYK":
            yield "picture-cmyk"


def _copies(looks: list[_Look]) -> Iterator[Fault]:
    first: dict[bytes, _Look] = {}
    for look in looks:
        if not look.digest:
            continue
        other = first.setdefault(look.digest, look)
        if other.split != look.split:
            line = f"{look.path}: {look.split} has the same picture as {other.split}, {other.path}"
            yield Fault("picture-leaked", line, look.path)
        elif other.path != look.path:
            yield Fault("picture-twice", f"{look.path}: is byte for byte {other.path}", look.path)


def _unlisted(listed: set[Path], known: set[Path | None]) -> Iterator[Fault]:
    for folder in sorted({path.parent for path in listed if path.parent.is_dir()}):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in PICTURES and path not in listed and path not in known:
                yield Fault("picture-unlisted", f"{path}: no split lists it", path)
