"""A case after what people report of such tools, and whether it is as it should be."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 40, 30
Box = tuple[float, float, float, float]
CELL: Box = (4, 6, 20, 22)
OTHER: Box = (22, 4, 36, 20)
TEN = {"objects": 20, "images": 10, "classes": ("cell", "other")}  # images, each with these two


@dataclass(frozen=True)
class Report:
    """A case.

    Attributes:
        kind: what is to be learnt from: boxes, polygons or masks.
        make: writes the folder.
        opens: what it holds: `objects`, `images`, `classes`, `boxes` of the first image, `labels` of masks, each where
            it is checked.
        refused: what the message says, where it must not open.
        said: a check's name that must be among the findings.
        settings: of the data.
    """

    kind: str
    make: Callable[[Path], object]
    opens: dict[str, Any] | None = None
    refused: str | None = None
    said: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


REPORTS: dict[str, Report] = {}


def add(name: str, kind: str, make: Callable[[Path], object], **expected: Any) -> None:
    assert name not in REPORTS, name
    REPORTS[name] = Report(kind, make, **expected)


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def save(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(path.name))).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    if path.suffix.lower() in (".pgm", ".pbm"):
        image = image.convert("L" if path.suffix == ".pgm" else "1")
    kind = {".jfif": "JPEG", ".jpe": "JPEG"}.get(path.suffix.lower())
    image.save(path, kind, **more)


def wrong(report: Report, folder: Path) -> str | None:
    """What is wrong with what `open_data` makes of a case; None where nothing is."""
    from backbones import InputError
    from tasks.config import DetectionData, SegmentationData
    from tasks.data import open_data

    report.make(folder)
    kind: Any = SegmentationData if report.kind == "masks" else DetectionData
    try:
        data: Any = open_data(kind(path=str(folder), **report.settings), report.kind)  # type: ignore[arg-type]
        found = _found(report, data)
    except InputError as error:
        if report.refused is None:
            return f"refused: {error}"
        return None if re.search(report.refused, str(error)) and "\n" not in str(error) else f"says: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if report.refused is not None:
        return f"opened: {data}"
    if report.said is not None:
        names = {finding.check for finding in data.findings}
        return None if report.said in names else f"says {sorted(names)}"
    lines = [
        f"{name}: {found[name]}, not {value}" for name, value in (report.opens or {}).items() if found[name] != value
    ]
    return "; ".join(lines) or None


def _found(report: Report, data: Any) -> dict[str, Any]:
    splits = {split: list(samples) for split, samples in data.splits.items()}
    found: dict[str, Any] = {"classes": data.classes, "images": sum(map(len, splits.values()))}
    found["splits"] = {split: len(samples) for split, samples in splits.items()}
    found["absent"] = data.classes_without_objects()
    if report.kind == "masks":
        masks = [sample.mask.labels() for samples in splits.values() for sample in samples]
        return found | {
            "labels": {int(label) for mask in masks for label in np.unique(mask)},
            "first": int(masks[0][0, 0]),
        }
    samples = [sample for items in splits.values() for sample in items]
    first = min(samples, key=lambda sample: Path(sample.name).name)
    names = {data.classes[label] for sample in samples for label in sample.labels}
    wanted = (report.opens or {}).get("has")
    boxes = np.round(first.boxes, 2).tolist()
    return found | {
        "objects": sum(len(one.labels) for one in samples),
        "boxes": boxes,
        "has": wanted if wanted in names else names,
    }
