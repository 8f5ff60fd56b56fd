"""All checks over one data set."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from backbones.errors import InputError
from tasks.config import DataSettings
from tasks.data.doctor.classes import Counts, class_faults
from tasks.data.doctor.masks import mask_faults
from tasks.data.doctor.objects import count_objects, object_faults
from tasks.data.doctor.outlines import outline_faults
from tasks.data.doctor.pictures import Watch, picture_faults
from tasks.data.faults import CHECKS, LEVELS, Check, DataError, Fault, Faults
from tasks.data.index import Samples
from tasks.data.open import LayoutError, open_data
from tasks.data.samples import DataSet

_ORDER = {name: (LEVELS.index(check.level), position) for position, (name, check) in enumerate(CHECKS.items())}


@dataclass(frozen=True)
class Finding:
    """A check that found something."""

    name: str
    faults: tuple[Fault, ...]

    @property
    def check(self) -> Check:
        return CHECKS[self.name]


@dataclass(frozen=True)
class Examination:
    """What is known of a data set.

    Attributes:
        data: the data set, as far as it can be read; None where it cannot at all.
        findings: the worst first.
        counts: how much there is of each class in each split: objects, or a mask's pixels.
    """

    data: DataSet[Any] | None
    findings: tuple[Finding, ...]
    counts: Counts

    @property
    def fails(self) -> bool:
        """Whether a training would."""
        return any(finding.check.level == "error" for finding in self.findings)


def examine(
    settings: DataSettings,
    task: str,
    *,
    outlines: bool = False,
    detections_per_image: int = 100,
    watch: Watch = lambda items, _what: items,
) -> Examination:
    """Look at every picture and every annotation.

    Args:
        outlines: masks are learnt from the objects' outlines.
        detections_per_image: how many objects of a picture can be found.
        watch: passes items through, for a progress bar; its second argument says what they are.

    Raises:
        LayoutError: there is no data set of a known layout.
    """
    faults = Faults(going_on=True)
    try:
        data = open_data(settings, task, outlines=outlines, faults=faults)
    except LayoutError:
        raise
    except InputError as error:
        fault = error.fault if isinstance(error, DataError) else Fault("data-unusable", str(error))
        return Examination(None, _findings([*faults.found, fault]), {})
    found = [*faults.found, *picture_faults(data, watch)]
    if task == "segmentation":
        counts, pictures, more = mask_faults(data, watch)
        found += [*more, *class_faults(data.classes, counts, pictures)]
    else:
        counts = count_objects(data)
        found += quick_faults(data, settings.image_size, detections_per_image)
    if outlines or task == "segmentation":
        found += outline_faults(data, watch)
    return Examination(data, _findings(found), counts)


def quick_faults(data: DataSet[Any], image_size: int, detections_per_image: int) -> list[Fault]:
    """What can be told of a detection data set without opening a picture: a moment's work for a million objects.

    Args:
        image_size: the pictures' short side in training, in pixels.
        detections_per_image: how many objects of a picture can be found.
    """
    found: list[Fault] = []
    for samples in data.splits.values():
        if isinstance(samples, Samples):
            found += object_faults(samples, data.classes, image_size, detections_per_image)
    counts = count_objects(data)
    return found + class_faults(data.classes, counts, counts)


def _findings(faults: Iterable[Fault]) -> tuple[Finding, ...]:
    grouped: dict[str, dict[str, Fault]] = {}
    for fault in faults:  # the reader and the look at the pictures may find the same
        grouped.setdefault(fault.check, {}).setdefault(fault.message, fault)
    return tuple(Finding(name, tuple(grouped[name].values())) for name in sorted(grouped, key=_ORDER.__getitem__))
