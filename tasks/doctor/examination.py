"""All checks over one data set."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from backbones import InputError
from tasks.config import Annotations, DataSettings
from tasks.data import (
    AS_RGB,
    CHECKS,
    LEVELS,
    Check,
    DataError,
    DataSet,
    Finding,
    Findings,
    LayoutError,
    Reading,
    SampleTable,
    open_data,
)
from tasks.doctor.check_boxes import count_objects, object_findings
from tasks.doctor.check_classes import Counts, class_findings, count_images
from tasks.doctor.check_images import Progress, image_findings
from tasks.doctor.check_masks import mask_findings
from tasks.doctor.check_polygons import polygon_findings

_ORDER = {name: (LEVELS.index(check.level), position) for position, (name, check) in enumerate(CHECKS.items())}


@dataclass(frozen=True)
class FindingGroup:
    """A check that found something."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def check(self) -> Check:
        return CHECKS[self.name]


@dataclass(frozen=True)
class Examination:
    """What is known of a data set.

    Attributes:
        data: the data set, as far as it can be read; None where it cannot at all.
        groups: the worst first.
        counts: how much there is of each class in each split: objects, a mask's pixels, or images.
    """

    data: DataSet[Any] | None
    groups: tuple[FindingGroup, ...]
    counts: Counts

    @property
    def fails(self) -> bool:
        """Whether a training would."""
        return any(group.check.level == "error" for group in self.groups)


def examine(
    settings: DataSettings,
    annotations: Annotations = "boxes",
    *,
    detections_per_image: int = 100,
    reading: Reading = AS_RGB,
    progress: Progress = lambda items, _what: items,
) -> Examination:
    """Look at every image and every annotation.

    Args:
        annotations: what is to be learnt from.
        detections_per_image: how many objects of an image can be found.
        reading: the channels of the images, and the levels of deep ones.
        progress: passes items through, for a progress bar; its second argument says what they are.

    Raises:
        LayoutError: there is no data set of a known layout.
    """
    findings = Findings(going_on=True)
    try:
        data = open_data(settings, annotations, findings=findings)
    except LayoutError:
        raise
    except InputError as error:
        finding = error.finding if isinstance(error, DataError) else Finding("data-unusable", str(error))
        return Examination(None, _grouped([*findings.found, finding]), {})
    found = [*findings.found, *image_findings(data, progress, reading)]
    if annotations == "masks":
        counts, images, more = mask_findings(data, progress)
        found += [*more, *class_findings(data.classes, counts, images)]
    elif annotations == "labels":
        counts = count_images(data)
        found += class_findings(data.classes, counts, counts)
    else:
        counts = count_objects(data)
        found += quick_findings(data, settings.image_size, detections_per_image)
    if annotations in ("polygons", "masks"):
        found += polygon_findings(data, progress)
    return Examination(data, _grouped(found), counts)


def quick_findings(data: DataSet[Any], image_size: int, detections_per_image: int) -> list[Finding]:
    """What can be found in a detection data set without opening an image: a moment's work for a million objects.

    Args:
        image_size: the images' short side in training, in pixels.
        detections_per_image: how many objects of an image can be found.
    """
    found: list[Finding] = []
    for samples in data.splits.values():
        if isinstance(samples, SampleTable):
            found += object_findings(samples, data.classes, image_size, detections_per_image)
    counts = count_objects(data)
    return found + class_findings(data.classes, counts, counts)


def _grouped(findings: Iterable[Finding]) -> tuple[FindingGroup, ...]:
    grouped: dict[str, dict[str, Finding]] = {}
    for finding in findings:  # the reader and the look at the images may find the same
        grouped.setdefault(finding.check, {}).setdefault(finding.message, finding)
    return tuple(FindingGroup(name, tuple(grouped[name].values())) for name in sorted(grouped, key=_ORDER.__getitem__))
