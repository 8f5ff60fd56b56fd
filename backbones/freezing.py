"""Stage freezing: which prefixes can be named, and the account of what is held. Imports no torch."""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from backbones.errors import InputError


@dataclass(frozen=True)
class FreezeReport:
    """What a backbone holds still.

    Attributes:
        stages: the frozen stages, 0 being the stem; empty where nothing is frozen.
        parameters, buffers: how many numbers they hold.
        total: parameters of the whole backbone, frozen or not.
        levels: that are in use.
        idle: parameters that none of these needs: they do not train, frozen or not.
        idle_stages: the stages that have no others.
    """

    stages: tuple[int, ...]
    parameters: int
    buffers: int
    total: int
    levels: tuple[str, ...] = ()
    idle: int = 0
    idle_stages: tuple[int, ...] = ()

    @property
    def share(self) -> float:
        """Frozen parameters over all parameters, 0..1."""
        return self.parameters / self.total if self.total else 0.0

    def __str__(self) -> str:
        return self._frozen() + self._unused()

    def _frozen(self) -> str:
        if not self.stages:
            which = f"{self.total - self.idle:,} of {self.total:,}" if self.idle else f"all {self.total:,}"
            return f"nothing frozen: {which} parameters of the backbone train"
        last = self.stages[-1]
        names = "the stem and stage 1" if last == 1 else f"the stem and stages 1-{last}"
        if self.parameters == self.total and not self.idle:
            names += " (no other has parameters)"
        return (
            f"frozen: {names}, {self.parameters:,} of {self.total:,} parameters of the backbone "
            f"({self.share:.1%}) and {self.buffers:,} numbers in buffers"
        )

    def _unused(self) -> str:
        if not self.idle_stages:
            return ""
        first, last = self.idle_stages[0], self.idle_stages[-1]
        which = f"stage {first} is" if first == last else f"stages {first}-{last} are"
        said = f"; {which} not used: the levels in use are {', '.join(self.levels)}"
        beyond = set(self.stages) & set(self.idle_stages)
        return f"{said}, so that freezing {'it' if first == last else 'them'} changes nothing" if beyond else said


def parse_stages(stages: int | str | Iterable[int], count: int | None = None) -> int:
    """The n of a prefix 1..n given as `3`, `"3"`, `"1-3"`, `"1,2,3"` or `{1, 2, 3}`; 0 for none.

    Args:
        count: how many stages the backbone has; None where that is not known yet.

    Raises:
        InputError: not a prefix (a frozen stage behind a trainable one), or beyond `count`.
    """
    numbers = _stage_numbers(stages)
    last = max(numbers, default=0)
    if numbers == [0] and str(stages).strip() != "0":
        raise InputError(
            f"freeze {stages!r}: stage 0, the stem, freezes with stage 1: write 1; 0 alone freezes nothing"
        )
    # The stem (0) may be named or not: it is always part of the prefix.
    if set(numbers) - {0} != set(range(1, last + 1)):
        raise InputError(
            f"freeze {stages!r} is not a prefix: stages freeze from the stem on; write {last} or '1-{last}'"
        )
    if count is not None and last > count:
        raise InputError(f"freeze {stages!r}: this backbone has the stages 1-{count}")
    return last


def _stage_numbers(stages: int | str | Iterable[int]) -> list[int]:
    if isinstance(stages, int):
        if stages < 0:
            raise InputError(f"freeze {stages}: the number of stages cannot be negative")
        return list(range(stages + 1))
    if not isinstance(stages, str):
        return sorted(stages)
    if stages.strip() in ("", "none"):
        return []
    if re.fullmatch(r"\s*\d+\s*", stages):
        return list(range(int(stages) + 1))
    numbers: list[int] = []
    for part in stages.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise InputError(f"freeze {stages!r} is not understood: write a number or a range, 3 or 1-3")
        first = int(match[1])
        numbers.extend(range(first, int(match[2] or first) + 1))
    return numbers


def warn_untrained() -> None:
    warnings.warn(
        "freezing a backbone that has no pretrained weights: its frozen stages stay random. "
        "Give weights, or freeze nothing.",
        stacklevel=3,
    )
