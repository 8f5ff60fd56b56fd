"""Both sides of a line in turn: ours, the peer, ours, the peer, ..."""

import gc
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from tasks.benchmark.comparisons.line import Agreement, Conditions, Line
from tasks.benchmark.comparisons.sides import SIDES, Side, mean_seconds


@dataclass(frozen=True)
class Timed:
    """A line, and what came of it.

    Attributes:
        agreements: of the two sides' numbers; where one does not hold nothing is timed.
        ours, peer: seconds a step, in turn.
        notes: figures that go with it.
        measured_as_meant: whether the sizes and the backbone are those that the goal is for.
    """

    line: Line
    conditions: Conditions
    agreements: list[Agreement]
    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)
    measured_as_meant: bool = True

    @property
    def is_right(self) -> bool:
        return all(one.holds for one in self.agreements)

    @property
    def ratios(self) -> list[float]:
        """Ours to the peer's time, of each pair."""
        return [mine / other for mine, other in zip(self.ours, self.peer, strict=True)]

    @property
    def ratio(self) -> float | None:
        """The median of the pairs."""
        return statistics.median(self.ratios) if self.ours else None

    @property
    def goal(self) -> float | None:
        goal = self.line.gpu_goal if self.conditions.is_gpu else self.line.goal
        return goal if self.measured_as_meant else None

    @property
    def met(self) -> bool | None:
        """None where there is no goal, or nothing was timed."""
        return None if self.goal is None or self.ratio is None else self.ratio <= self.goal

    @property
    def baseline(self) -> str:
        return (self.line.gpu_baseline if self.conditions.is_gpu else None) or self.line.baseline


def time_line(
    line: Line, conditions: Conditions, *, rounds: int, steps: int, as_meant: bool = True, apart: bool = False
) -> Timed:
    """Build both sides, compare their numbers, and time them if these are the same.

    Args:
        rounds: pairs of times; the seeds where the line trains on real data.
        steps: of each side, one after the other, that are timed together.
        as_meant: whether the conditions are those that the line's goal is for.
        apart: each side in a process of its own.
    """
    if apart:
        return _time_apart(line, conditions, rounds, steps, as_meant)
    pair = line.make(conditions)
    with _exact():
        agreements = pair.check()
    timed = Timed(line, conditions, agreements, measured_as_meant=as_meant)
    if timed.is_right:
        if line.needs_data:
            rounds, steps = conditions.data.seeds if conditions.data else 1, 1
        for number in range(pair.warm_up):
            pair.ours(number)
            pair.peer(number)
        for numbers in _turns(rounds, steps):
            timed.ours.append(mean_seconds(pair.ours, numbers, conditions))
            timed.peer.append(mean_seconds(pair.peer, numbers, conditions))
        timed.notes.update(pair.notes())
    del pair
    _clean_up()
    return timed


def _time_apart(line: Line, conditions: Conditions, rounds: int, steps: int, as_meant: bool) -> Timed:
    sides = [Side(name, line.name, conditions) for name in SIDES]
    timed = Timed(line, conditions, sides[0].agreements, measured_as_meant=as_meant)
    if timed.is_right:
        for numbers in _turns(rounds, steps):
            for side, seconds in zip(sides, (timed.ours, timed.peer), strict=True):
                seconds.append(side.seconds(numbers))
    for side in sides:
        side.close()
    return timed


def _turns(rounds: int, steps: int) -> Iterator[range]:
    return (range(number * steps, (number + 1) * steps) for number in range(rounds))


@contextmanager
def _exact() -> Iterator[None]:
    """A GPU rounds the inputs of its convolutions to 10 bits by default."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _clean_up() -> None:
    """The next line has the memory that this one had."""
    gc.collect()
    torch.compiler.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
