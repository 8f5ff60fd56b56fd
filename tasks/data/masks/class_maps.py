"""From what masks hold to the classes: the one place where the meaning of their values is decided."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backbones import InputError
from tasks.data.findings import Findings
from tasks.data.folders.texts import read_lines
from tasks.data.masks.mask_files import ClassMap, Reading, is_one_bit, read_values

_IGNORED_NAMES = ("unlabelled", "unlabeled", "void", "ignore")
_WHITE = 255
_MOST_CLASSES = 255  # and the label of what is ignored

# Of soft edges: how near to black and white nearly all pixels are, and how many values lie well between.
_NEAR, _BETWEEN, _LEAST_BETWEEN, _MOST_MASS = 8, (32, 224), 3, 0.8


@dataclass(frozen=True)
class MaskSettings:
    """What a user says of masks.

    Attributes:
        names: of the values 0, 1, ...; empty where nothing is said.
        ignore_index: one more value to ignore.
        threshold: grey levels from here on are 1, all others 0.
    """

    names: Sequence[str] = ()
    ignore_index: int | None = None
    threshold: int | None = None


def class_map(file: Path, masks: Sequence[Path], settings: MaskSettings, findings: Findings) -> tuple[ClassMap, str]:
    """The classes of masks, and who names them.

    255 is ignored, except where masks hold 0 and 255 alone: there it is the second class. The names unlabelled and
    void are ignored.

    Args:
        file: classes.txt, if it is there: a name a line, and r g b behind each for masks in colours.

    Raises:
        InputError: the file cannot be read or names no class; a named class has a value that is ignored; there are
            more values than classes can be; or the values are those of soft edges.
    """
    if settings.names:
        return _named(list(settings.names), {}, masks, settings, findings), "classes as given"
    if file.is_file():
        names, colours = _read_names(file, findings)
        return _named(names, colours, masks, settings, findings), file.name
    return _counted(masks, settings, findings), "classes counted from the masks"


def _read_names(file: Path, findings: Findings) -> tuple[list[str], dict[tuple[int, int, int], int]]:
    lines = [line.split() for line in read_lines(file) if line]
    coloured = [len(line) > 3 and all(part.isdigit() for part in line[-3:]) for line in lines]
    if any(coloured) and not all(coloured):
        raise InputError(f"{file}: line {coloured.index(False) + 1} has no colour; write 'name r g b' in every line")
    colours = {
        (int(line[-3]), int(line[-2]), int(line[-1])): value
        for value, (line, colour) in enumerate(zip(lines, coloured, strict=True))
        if colour
    }
    names = [" ".join(line[:-3] if colour else line) for line, colour in zip(lines, coloured, strict=True)]
    if not set(map(str.lower, names)) - set(_IGNORED_NAMES):
        raise InputError(f"{file}: names no class")
    if len(set(names)) < len(names):
        findings.add("class-twice", f"{file}: two classes share a name")
    return names, colours


def _named(
    names: Sequence[str],
    colours: dict[tuple[int, int, int], int],
    masks: Sequence[Path],
    settings: MaskSettings,
    findings: Findings,
) -> ClassMap:
    ignored = {_WHITE} | ({settings.ignore_index} if settings.ignore_index is not None else set())
    values = list(range(len(names)))
    reading = Reading(colours, threshold=settings.threshold)
    if settings.threshold is not None and len(names) != len("01"):
        raise InputError(f"data.mask_threshold makes two classes, and {len(names)} are named")
    if not colours and settings.threshold is None and _are_black_and_white(masks, findings):
        if len(names) != len("01") or settings.ignore_index == _WHITE:
            reason = "and 255 is ignored" if settings.ignore_index == _WHITE else f"and {len(names)} classes are named"
            raise InputError(
                f"{masks[0]}: the masks hold 0 and 255 alone, {reason}; name two, of 0 and of 255, and ignore neither"
            )
        values, ignored = [0, _WHITE], ignored - {_WHITE}
        reading = Reading(white=_WHITE)
    kept = [(value, name) for value, name in zip(values, names, strict=True) if name.lower() not in _IGNORED_NAMES]
    for value, name in kept:
        if value in ignored:
            raise InputError(f"the class {name!r} has the value {value}, which is ignored; take another of the two")
    left_out = {value for value in values if value not in dict(kept)} | ignored
    return ClassMap(tuple(name for _, name in kept), tuple(value for value, _ in kept), frozenset(left_out), reading)


def _counted(masks: Sequence[Path], settings: MaskSettings, findings: Findings) -> ClassMap:
    bits = [mask for mask in masks if is_one_bit(mask)]
    others = [mask for mask in masks if mask not in set(bits)] if bits else masks
    reading = Reading(threshold=settings.threshold)
    counts = _count(others, reading, findings)
    if bits:
        white = _WHITE if set(np.flatnonzero(counts).tolist()) in ({_WHITE}, {0, _WHITE}) else 1
        reading = replace(reading, white=white)
        counts += _count(bits, reading, findings)
    found = set(np.flatnonzero(counts).tolist())
    if settings.threshold is None:
        _check_edges(masks, counts)
    ignored = {_WHITE} if found != {0, _WHITE} else set()
    ignored |= {settings.ignore_index} if settings.ignore_index is not None else set()
    kept = sorted(found - ignored)
    if len(kept) > _MOST_CLASSES:
        raise InputError(
            f"{len(kept)} values were found in the masks, from {kept[0]} to {kept[-1]}: numbers of objects rather than "
            "classes? Give masks of classes, or name them in classes.txt"
        )
    return ClassMap(tuple(map(str, kept)), tuple(kept), frozenset(ignored & found), reading)


def _count(masks: Iterable[Path], reading: Reading, findings: Findings) -> NDArray[np.int64]:
    """How many pixels have each value."""
    counts = np.zeros(65536, np.int64)
    for mask in masks:
        with findings.skipping():
            counts += np.bincount(read_values(mask, reading).reshape(-1), minlength=len(counts))
    return counts


def _are_black_and_white(masks: Sequence[Path], findings: Findings) -> bool:
    """Whether masks hold 0 and 255 alone; those of 1 bit say nothing of it."""
    seen: set[int] = set()
    for mask in masks:
        with findings.skipping():
            if not is_one_bit(mask):
                seen |= set(np.unique(read_values(mask, Reading())).tolist())
        if seen - {0, _WHITE}:
            return False
    return _WHITE in seen


def _check_edges(masks: Sequence[Path], counts: NDArray[np.int64]) -> None:
    """Raise where values look like those of a black and white image with soft edges, or saved as JPEG."""
    if counts[256:].any():
        return
    near = counts[: _NEAR + 1].sum() + counts[256 - _NEAR : 256].sum()
    if near < _MOST_MASS * counts.sum() or not counts[: _NEAR + 1].any():
        return
    found = np.flatnonzero(counts).tolist()
    soft = [value for value in found if _BETWEEN[0] <= value < _BETWEEN[1]]
    noisy = [value for value in found if 256 - _NEAR <= value < _WHITE]
    if (len(soft) >= _LEAST_BETWEEN and counts[256 - _NEAR :].any()) or noisy:
        some = ", ".join(map(str, found[:5])) + (f", ... {found[-1]}" if len(found) > 5 else "")
        raise InputError(
            f"{masks[0].parent}: the masks hold {len(found)} values ({some}), nearly all pixels near 0 or 255: soft "
            "edges or JPEG's noise? data.mask_threshold 128 makes two classes; or name the values in classes.txt"
        )
