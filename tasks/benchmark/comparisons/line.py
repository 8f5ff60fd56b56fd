"""What a comparison is: the work, both sides of it, and what shows that they do the same. Imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sizes:
    """Of the images, in pixels, and how many a step has."""

    height: int
    width: int
    batch: int

    def __str__(self) -> str:
        side = str(self.height) if self.height == self.width else f"{self.height} x {self.width}"
        return f"{side} px, batch {self.batch}"


@dataclass(frozen=True)
class RealData:
    """What a finetuning is measured on.

    Attributes:
        folder: Pascal VOC with train, val and test, such as BCCD.
        weights: of a ResNet-50, or None: random ones.
        stride_in_1x1: whether the weights are of the original bottleneck.
        seeds: how many trainings of each side; the pairs of that line.
    """

    folder: Path
    weights: Path | None = None
    stride_in_1x1: bool = False
    seeds: int = 1


@dataclass(frozen=True)
class Conditions:
    """What a line is measured with.

    Attributes:
        device: cpu, cuda, ...
        sizes: of the images.
        backbone: of both sides.
        seed: of weights and images.
        batches: different ones, over and over; both sides of a pair of times have the same.
        data: of lines that need it.
    """

    device: str
    sizes: Sizes
    backbone: str = "resnet50"
    seed: int = 0
    batches: int = 3
    data: RealData | None = None

    @property
    def is_gpu(self) -> bool:
        return self.device.startswith("cuda")


@dataclass(frozen=True)
class Agreement:
    """How far the two sides are from the same numbers.

    Attributes:
        what: is compared.
        difference: 0 where they are equal; NaN agrees with nothing.
        tolerance: the largest difference that is rounding.
    """

    what: str
    difference: float
    tolerance: float

    @property
    def holds(self) -> bool:
        return self.difference <= self.tolerance

    def __str__(self) -> str:
        return f"{self.what} {self.difference:.1e} (at most {self.tolerance:.0e})"


@dataclass(frozen=True)
class Pair:
    """Both sides of a line, ready.

    Attributes:
        check: compares their numbers, before anything is timed.
        ours, peer: do the work with the batch of this number.
        warm_up: calls of each that are not timed.
        notes: asked for after the timing; figures that go with it, such as a metric.
    """

    check: Callable[[], list[Agreement]]
    ours: Callable[[int], object]
    peer: Callable[[int], object]
    warm_up: int = 1
    notes: Callable[[], dict[str, object]] = field(default=dict)


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        name: that it is asked for by.
        work: what both sides do.
        baseline: what the peer is, and how it is run.
        make: builds both sides.
        cpu, gpu: the sizes there.
        goal, gpu_goal: the largest ratio that is wanted, ours to the peer's time; None where none was set.
        gpu_baseline: where the peer is run otherwise on a GPU.
        needs_data: whether it is left out unless a folder is given.
    """

    name: str
    work: str
    baseline: str
    make: Callable[[Conditions], Pair]
    cpu: Sizes
    gpu: Sizes
    goal: float | None = None
    gpu_goal: float | None = None
    gpu_baseline: str | None = None
    needs_data: bool = False
