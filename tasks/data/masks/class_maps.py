"""From what masks hold to the classes: the one place where the meaning of their values is decided."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backbones import InputError
from tasks.config import SegmentationData
from tasks.data.findings import Findings
from tasks.data.folders.texts import read_lines
from tasks.data.masks.mask_files import ClassMap, MaskReading, is_one_bit, read_values

_IGNORED_NAMES = ("unlabelled", "unlabeled", "void", "ignore")
_WHITE = 255
_TWO = 2  # classes, of black and white
_MOST_CLASSES = 255  # and the label of what is ignored

_LOOKED_AT = 30  # masks, of which those of many classes show others than 0 and 255
_STRAY = 0.01  # of the white pixels: fewer of other values are no classes
_SHOWN = 5  # values, in a message
_COLOUR = 3  # numbers

# Of soft edges: how near to black and white nearly all pixels are, and how many values, each with few, lie between.
_NEAR, _MANY, _FEW, _MOST_BETWEEN = 8, 12, 0.03, 0.2


def class_map(
    file: Path, masks: Sequence[Path], settings: SegmentationData, findings: Findings
) -> tuple[ClassMap, str]:
    """The classes of masks, and who names them.

    255 is ignored, except where masks hold 0 and 255 alone: there it is the second class. The names unlabelled and
    void are ignored.

    Args:
        file: classes.txt, if it is there: a name a line, and r g b behind each for masks in colours.

    Raises:
        InputError: the file cannot be read or names no class; a named class has a value that is ignored; there are
            more values than classes can be; or the values are those of soft edges.
    """
    if len(set(settings.classes)) < len(settings.classes):
        raise InputError(f"data.classes: two classes share a name in {' '.join(settings.classes)}")
    if settings.classes:
        return _named(list(settings.classes), {}, masks, settings, findings), "classes as given"
    if file.is_file():
        names, colours = _read_names(file, findings)
        return _named(names, colours, masks, settings, findings), file.name
    return _counted(masks, settings, findings), "classes counted from the masks"


def _read_names(file: Path, findings: Findings) -> tuple[list[str], dict[tuple[int, int, int], int]]:
    lines = [_name_and_colour(line) for line in read_lines(file) if line]
    coloured = [colour is not None for _, colour in lines]
    if any(coloured) and not all(coloured):
        raise InputError(f"{file}: line {coloured.index(False) + 1} has no colour; write 'name r g b' in every line")
    names = [name for name, _ in lines]
    colours = {colour: value for value, (_, colour) in enumerate(lines) if colour is not None}
    if not set(map(str.lower, names)) - set(_IGNORED_NAMES):
        raise InputError(f"{file}: names no class")
    if len(set(names)) < len(names):
        findings.add("class-twice", f"{file}: two classes share a name")
    return names, colours


def _name_and_colour(line: str) -> tuple[str, tuple[int, int, int] | None]:
    """Of "name r g b" or "r g b name", with blanks or commas; without numbers the line is the name."""
    words = line.replace(",", " ").split()
    for numbers, rest in ((words[-_COLOUR:], words[:-_COLOUR]), (words[:_COLOUR], words[_COLOUR:])):
        if rest and len(numbers) == _COLOUR and all(word.isdecimal() for word in numbers):
            red, green, blue = map(int, numbers)
            return " ".join(rest), (red, green, blue)
    return " ".join(line.split()), None


def _named(
    names: Sequence[str],
    colours: dict[tuple[int, int, int], int],
    masks: Sequence[Path],
    settings: SegmentationData,
    findings: Findings,
) -> ClassMap:
    ignored = {_WHITE} | ({settings.ignore_index} if settings.ignore_index is not None else set())
    values = list(range(len(names)))
    reading = MaskReading(colours, threshold=settings.mask_threshold)
    if settings.mask_threshold is not None and len(names) != _TWO:
        raise InputError(f"data.mask_threshold makes two classes, and {len(names)} are named")
    if not colours and settings.mask_threshold is None and _are_black_and_white(masks, findings):
        if len(names) != _TWO or settings.ignore_index == _WHITE:
            reason = "and 255 is ignored" if settings.ignore_index == _WHITE else f"and {len(names)} classes are named"
            raise InputError(
                f"{masks[0]}: the masks hold 0 and 255 alone, {reason}; name two, of 0 and of 255, and ignore neither"
            )
        values, ignored = [0, _WHITE], ignored - {_WHITE}
        reading = MaskReading(white=_WHITE)
    kept = [(value, name) for value, name in zip(values, names, strict=True) if name.lower() not in _IGNORED_NAMES]
    for value, name in kept:
        if value in ignored:
            raise InputError(f"the class {name!r} has the value {value}, which is ignored; take another of the two")
    left_out = {value for value in values if value not in dict(kept)} | ignored
    return ClassMap(tuple(name for _, name in kept), tuple(value for value, _ in kept), frozenset(left_out), reading)


def _counted(masks: Sequence[Path], settings: SegmentationData, findings: Findings) -> ClassMap:
    bits = [mask for mask in masks if is_one_bit(mask)]
    one_bit = set(bits)
    others = [mask for mask in masks if mask not in one_bit]
    reading = MaskReading(threshold=settings.mask_threshold)
    counts = _count(others, reading, findings)
    if bits:
        white = _WHITE if set(np.flatnonzero(counts).tolist()) in ({_WHITE}, {0, _WHITE}) else 1
        reading = replace(reading, white=white)
        counts += _count(bits, reading, findings)
    found = set(np.flatnonzero(counts).tolist())
    if settings.mask_threshold is None:
        _check_edges(masks, counts)
        _check_strays(masks, counts)
    ignored = {_WHITE} if found != {0, _WHITE} else set()
    ignored |= {settings.ignore_index} if settings.ignore_index is not None else set()
    kept = sorted(found - ignored)
    if len(kept) > _MOST_CLASSES:
        raise InputError(
            f"{len(kept)} values were found in the masks, from {kept[0]} to {kept[-1]}: numbers of objects rather than "
            "classes? Give masks of classes, or name them in classes.txt"
        )
    return ClassMap(tuple(map(str, kept)), tuple(kept), frozenset(ignored & found), reading)


def _count(masks: Iterable[Path], reading: MaskReading, findings: Findings) -> NDArray[np.int64]:
    """How many pixels have each value."""
    counts = np.zeros(65536, np.int64)
    for mask in masks:
        with findings.skipping():
            counts += np.bincount(read_values(mask, reading).reshape(-1), minlength=len(counts))
    return counts


def _are_black_and_white(masks: Sequence[Path], findings: Findings) -> bool:
    """Whether masks hold 0 and 255 alone; those of 1 bit say nothing of it. All are read only if the first few do."""
    counts = np.zeros(65536, np.int64)
    for number, mask in enumerate(masks):
        if not is_one_bit(mask):
            counts += _count([mask], MaskReading(), findings)
        if number >= _LOOKED_AT and _foreground(counts) > _STRAY * counts[_WHITE]:
            return False
    _check_strays(masks, counts)
    return bool(counts[_WHITE]) and not _foreground(counts)


def _foreground(counts: NDArray[np.int64]) -> int:
    """How many pixels have a value that is neither 0 nor 255."""
    return int(counts.sum() - counts[0] - counts[_WHITE])


def _check_strays(masks: Sequence[Path], counts: NDArray[np.int64]) -> None:
    """Raise where masks hold 0 and 255 but for a few pixels: with those, 255 would be what is ignored."""
    others = _foreground(counts)
    if counts[0] and 0 < others <= _STRAY * counts[_WHITE]:
        value = next(value for value in np.flatnonzero(counts).tolist() if value not in (0, _WHITE))
        raise InputError(
            f"{masks[0].parent}: the masks hold 0 and 255, and {others} pixels of other values (such as {value}), "
            "beside which 255 would be ignored: correct these, or data.mask_threshold 128 makes two classes"
        )


def _check_edges(masks: Sequence[Path], counts: NDArray[np.int64]) -> None:
    """Raise where values look like those of a black and white image with soft edges, or saved as JPEG: many values, and
    few pixels of each, between black and white."""
    if counts[256:].any() or not counts[:_NEAR].any() or not counts[256 - _NEAR : 256].any():
        return
    total, between = counts.sum(), counts[_NEAR : 256 - _NEAR]
    many = np.count_nonzero(counts) > _MANY and between.max() < _FEW * total and between.sum() < _MOST_BETWEEN * total
    nearly_white = counts[_WHITE] and counts[_WHITE - _NEAR : _WHITE].any() and not between.any()
    if many or nearly_white:
        found = np.flatnonzero(counts).tolist()
        some = ", ".join(map(str, found[:_SHOWN])) + (f", ... {found[-1]}" if len(found) > _SHOWN else "")
        raise InputError(
            f"{masks[0].parent}: the masks hold {len(found)} values ({some}), nearly all pixels near 0 or 255: soft "
            "edges or JPEG's noise? data.mask_threshold 128 makes two classes; or name the values in classes.txt"
        )
