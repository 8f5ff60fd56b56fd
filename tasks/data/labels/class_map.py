"""The names of classes that files number from 0."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.config import ClassificationData
from tasks.data.findings import DataError, Finding
from tasks.data.folders.texts import read_lines


def class_names(
    settings: ClassificationData,
    file: Path,
    labels: Mapping[str, tuple[Path, NDArray[np.int64]]],
    standard: Sequence[str] = (),
) -> tuple[str, ...]:
    """Those of the settings, else of the lines of a file, else the standard ones, else the labels of train.

    Args:
        file: of names, which need not be there.
        labels: of each split, and the file that they stand in.

    Raises:
        DataError: a label has no name, or two have the same.
    """
    names, named_by = settings.classes or tuple(standard), "data.classes" if settings.classes else "this format"
    if not settings.classes and file.is_file():
        names, named_by = tuple(line for line in read_lines(file) if line), str(file)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(Finding("class-twice", f"{named_by}: {twice!r} names two classes"))
    if not names:
        place, found = labels["train"][0], np.unique(labels["train"][1])
        if len(gaps := np.flatnonzero(found != np.arange(len(found)))):
            line = (
                f"{place}: has the label {found[gaps[0]]} and no {gaps[0]}; give the names of all classes by "
                f"data.classes, or in {file}"
            )
            raise DataError(Finding("class-unknown", line))
        names, named_by = tuple(map(str, found.tolist())), "train"
        names = tuple(name.zfill(len(names[-1])) for name in names) if names else ()
    for place, values in labels.values():
        if len(beyond := np.flatnonzero(values >= len(names))):
            line = (
                f"{place}: image {beyond[0]} has the label {values[beyond[0]]}, but {named_by} has {len(names)} "
                f"classes, from 0 to {len(names) - 1}"
            )
            raise DataError(Finding("class-unknown", line))
    return names
