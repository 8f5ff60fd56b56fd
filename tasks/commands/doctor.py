"""`doctor`: what is wrong or odd with a data set."""

import json
import math
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from pydantic import Field
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from tasks.commands.cli import early_flags, parse, run_command
from tasks.config import (
    SHAPES,
    Annotations,
    ClassificationData,
    DataSettings,
    DetectionData,
    Group,
    SegmentationData,
    UserPath,
    run_defaults,
    without,
)
from tasks.heads import find_head
from tasks.runs import plain_console

if TYPE_CHECKING:
    from tasks.doctor import Examination

_WIDEST = 1000  # characters of a line where there is no terminal
_COLOURS = {"error": "red", "dropped": "magenta", "warning": "yellow", "note": "cyan"}


class DoctorArguments(Group):
    """What to examine; nothing of it is changed."""

    task: Literal["detection", "segmentation", "classification"] = "detection"
    """What is to be learnt from it."""
    data: DataSettings = DataSettings()
    in_channels: int = Field(3, ge=1)
    """Of the images, as --backbone.in-channels of the training to come."""
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print everything as JSON instead of tables."""
    fix: UserPath | None = None
    """A new folder for the annotation files in which something can be corrected safely."""
    show_augmentations: int = Field(0, ge=0)
    """So many images of train as they are and as training will see them, on a contact sheet."""
    output: UserPath | None = None
    """Where the page of the worst images and the contact sheet go. None: runs/doctor-<data>."""

    @property
    def annotations(self) -> Annotations:
        """What is to be learnt from."""
        return find_head(None, self.task).annotations


class DetectionArguments(DoctorArguments):
    """What to examine; nothing of it is changed."""

    data: DetectionData = DetectionData()
    head: str = "faster_rcnn"
    """Of the training to come; mask_rcnn has the polygons examined too."""
    detections_per_image: int = Field(100, ge=1)
    """At most so many objects of an image are found."""

    @property
    def annotations(self) -> Annotations:
        """What is to be learnt from."""
        return find_head(self.head, self.task).annotations


class SegmentationArguments(DoctorArguments):
    """What to examine; nothing of it is changed."""

    data: SegmentationData = SegmentationData()


class ClassificationArguments(DoctorArguments):
    """What to examine; nothing of it is changed."""

    data: ClassificationData = ClassificationData()


_ARGUMENTS: dict[str, type[DoctorArguments]] = {
    "detection": DetectionArguments,
    "segmentation": SegmentationArguments,
    "classification": ClassificationArguments,
}


def main(argv: list[str]) -> int:
    return run_command(lambda console: _doctor(_parse(argv), console))


def _parse(argv: Sequence[str]) -> DoctorArguments:
    early = early_flags(argv)
    task = early.get("task", "detection")
    defaults = run_defaults(find_head(None, task), early.get("data", {}).get("path", SHAPES))
    return parse(
        _ARGUMENTS[task],
        argv,
        command="doctor",
        description="Find what is wrong with a data set. Exit code 1: a training would fail.",
        example=f"--task {task} --data DIR",
        below={"task": task, "data": without(defaults.get("data", {}), DataSettings.of_training)},
        hidden=[f"data.{name}" for name in DataSettings.of_training],
    )


def _doctor(arguments: DoctorArguments, console: Console) -> int:
    from tasks.data import Reading
    from tasks.doctor import examine

    messages = plain_console(file=sys.stderr) if arguments.as_json else console
    warnings.showwarning = lambda message, *_args, **_kwargs: messages.print(f"warning: {message}")
    with Progress(console=messages, transient=True) as bar:

        def progress(items: Any, what: str) -> Iterable[Any]:
            return bar.track(items, description=what, total=len(items) if hasattr(items, "__len__") else None)

        found = examine(
            arguments.data,
            arguments.annotations,
            detections_per_image=getattr(arguments, "detections_per_image", 0),
            reading=Reading(arguments.in_channels),
            progress=progress,
        )
    if arguments.as_json:
        print(json.dumps(_as_json(found), indent=1, allow_nan=False))
    else:
        _print(found, f"{Path(arguments.data.path)}/", console)
    fails = found.fails if arguments.fix is None else _fix(arguments, found, messages)
    _write_pages(arguments, found, messages)
    return 1 if fails else 0


def _print(found: "Examination", folder: str, console: Console) -> None:
    if found.data is not None:
        console.print(str(found.data))
    if not console.is_terminal:  # nothing is cut or folded in a log
        console.width = _WIDEST
    if found.groups:
        table = Table("", "", "", Column("the first", overflow="fold"), "what to do", show_lines=True)
        for group in found.groups:
            check, first = group.check, group.findings[0].message.removeprefix(folder)
            level = Text(check.level, style=_COLOURS[check.level])
            table.add_row(level, str(len(group.findings)), check.what, first, check.cure)
        console.print(table, soft_wrap=False)
    if found.data is not None:
        counts = Table("class", *found.counts, title=_counted(found), title_justify="left")
        for label, name in enumerate(found.data.classes):
            counts.add_row(name, *(f"{values[label]:,}" for values in found.counts.values()))
        console.print(counts)
    numbers = dict.fromkeys(_COLOURS, 0)
    for group in found.groups:
        numbers[group.check.level] += len(group.findings)
    summary = ", ".join(f"{number} {level}{_plural(level, number)}" for level, number in numbers.items() if number)
    console.print(f"{summary or 'nothing found'}; a training would {'fail' if found.fails else 'run'}")


def _plural(level: str, number: int) -> str:
    return "" if number == 1 or level == "dropped" else "s"


def _counted(found: "Examination") -> str:
    from tasks.data import LabelledSamples, SampleTable

    train = found.data.splits["train"] if found.data is not None else None
    return {SampleTable: "objects", LabelledSamples: "images"}.get(type(train), "pixels")


def _as_json(found: "Examination") -> dict[str, Any]:
    classes = found.data.classes if found.data is not None else ()
    return {
        "data": str(found.data) if found.data is not None else None,
        "fails": found.fails,
        "checks": [
            {
                "check": group.name,
                "level": group.check.level,
                "what": group.check.what,
                "cure": group.check.cure,
                "findings": [
                    {
                        "message": finding.message,
                        "image": None if finding.image is None else str(finding.image),
                        "box": finding.box and [value if math.isfinite(value) else None for value in finding.box],
                    }
                    for finding in group.findings
                ],
            }
            for group in found.groups
        ],
        "classes": {
            name: {split: int(values[label]) for split, values in found.counts.items()}
            for label, name in enumerate(classes)
        },
    }


def _write_pages(arguments: DoctorArguments, found: "Examination", console: Console) -> None:
    from tasks.doctor import augmentation_sheet, worst_images

    output = arguments.output or Path("runs") / f"doctor-{Path(arguments.data.path).resolve().name}"
    if (page := worst_images(found)) is not None:
        path = _writable(output / "worst.html")
        path.write_text(page[0], encoding="utf-8", errors="backslashreplace")
        console.print(f"{path}: {page[1]}")
    if not arguments.show_augmentations or found.data is None:
        return
    sheet = augmentation_sheet(
        found.data, arguments.task, arguments.data, arguments.show_augmentations, arguments.in_channels
    )
    if sheet is not None:
        path = _writable(output / "augmentations.jpg")
        sheet.save(path, quality=90)
        console.print(f"{path}: as they are, and augmented by {arguments.data.augment!r}")


def _fix(arguments: DoctorArguments, found: "Examination", console: Console) -> bool:
    """Returns: whether a training on the corrected files would still fail."""
    from tasks.doctor import fix, is_correctable, is_corrected

    assert arguments.fix is not None
    findings = [finding for group in found.groups for finding in group.findings]
    written = fix(findings, [Path(path) for path in (arguments.data.path, *arguments.data.also)], arguments.fix)
    for one in written:
        console.print(str(one))
    elsewhere = sum(is_correctable(one) and not is_corrected(one) for one in findings)
    if elsewhere:
        console.print(
            f"{elsewhere} findings stand in files of a format that is not corrected: convert the data set to COCO first"
        )
    elif not written:
        console.print("nothing that can be corrected safely")
    errors = sum(one.level == "error" and not is_corrected(one) for one in findings)
    left = f"{errors} error{_plural('error', errors)} left, with which it fails" if errors else "no error is left"
    if written:
        console.print(f"copy these over the old files to train on them: {left}")
    return errors > 0


def _writable(path: Path) -> Path:
    from backbones import InputError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be written to: {error.strerror}") from None
    return path
