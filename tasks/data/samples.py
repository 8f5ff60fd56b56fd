"""What every reader makes: samples, gathered in a data set with one class map."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from backbones.errors import InputError
from tasks.data.pictures import read_picture

Image = NDArray[np.uint8]

# In pixels. albumentations works with shares of the picture in float32, where thinner boxes vanish.
_LEAST_SIDE = 0.01


class Rendered(Protocol):
    """A picture that is made, not read."""

    def render(self) -> Image: ...


@dataclass(frozen=True)
class Sample:
    """A picture with its objects.

    Attributes:
        name: the picture's file name within its split.
        source: the file, or what draws the picture.

        boxes: (n, 4) float64, x_min y_min x_max y_max in pixels of the picture, inside it, with area.
        labels: (n,) int64, positions in the data set's classes.
        areas: (n,) float64, of the object in square pixels (its mask's, where there is one).
        crowd: (n,) bool, regions to ignore: neither objects nor background.
    """

    name: str
    source: Path | Rendered
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    def read(self) -> Image:
        """The picture as uint8 RGB (H, W, 3)."""
        return read_picture(self.source) if isinstance(self.source, Path) else self.source.render()

    def present(self) -> set[int]:
        """The labels of its objects."""
        return {int(label) for label in self.labels}

    def relabelled(self, positions: NDArray[np.int64]) -> "Sample":
        """With label `positions[k]` for each k."""
        return replace(self, labels=positions[self.labels])


class Labelled(Protocol):
    """What a data set holds: samples of detection, or of segmentation."""

    @property
    def name(self) -> str: ...

    def present(self) -> set[int]: ...

    def relabelled(self, positions: NDArray[np.int64]) -> Any: ...


S = TypeVar("S", bound=Labelled)


@dataclass(frozen=True)
class DataSet(Generic[S]):
    """Pictures to train on and to judge by.

    Attributes:
        layout: the format, as a person calls it.
        classes: the names; a label is a position in it.
        splits: "train", "val" and perhaps "test", each in the order of the file names.
        dropped: a line for every annotation left out.
    """

    layout: str
    classes: tuple[str, ...]
    splits: Mapping[str, Sequence[S]]
    dropped: tuple[str, ...] = ()

    def __str__(self) -> str:
        sizes = ", ".join(f"{len(samples)} {split}" for split, samples in self.splits.items())
        count = f"{len(self.classes)} class{'es' if len(self.classes) > 1 else ''}"
        return f"{self.layout}: {sizes} pictures; {count}: {', '.join(self.classes)}"

    def classes_without_objects(self, split: str = "train") -> list[str]:
        """The classes that `split` has nothing of."""
        seen = {label for sample in self.splits[split] for label in sample.present()}
        return [name for label, name in enumerate(self.classes) if label not in seen]


@dataclass
class BoxList:
    """Gathers one picture's boxes, cleans them, and tells what it dropped.

    Args:
        where: what messages call the annotation.
        width, height: of the picture in pixels.
    """

    where: str
    width: float
    height: float
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def add(
        self,
        box: tuple[float, float, float, float],
        label: int,
        *,
        what: str,
        area: float | None = None,
        crowd: bool = False,
    ) -> None:
        """Take a box (x_min, y_min, x_max, y_max), clipped to the picture; drop it where it has no area.

        Raises:
            InputError: a coordinate is not a finite number.
        """
        if not np.isfinite(box).all():
            raise InputError(f"{self.where}: {what} has the coordinates {box}; correct or remove the box")
        x_min, y_min, x_max, y_max = box
        clipped = (
            min(max(x_min, 0.0), self.width),
            min(max(y_min, 0.0), self.height),
            min(max(x_max, 0.0), self.width),
            min(max(y_max, 0.0), self.height),
        )
        if x_max <= x_min or y_max <= y_min:
            self.dropped.append(f"{self.where}: {what} has no area: {_plain(box)}")
        elif clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
            self.dropped.append(f"{self.where}: {what} lies outside the picture: {_plain(box)}")
        elif min(clipped[2] - clipped[0], clipped[3] - clipped[1]) < _LEAST_SIDE:
            self.dropped.append(f"{self.where}: {what} has next to no area in the picture: {_plain(box)}")
        else:
            self.boxes.append(clipped)
            self.labels.append(label)
            self.areas.append((clipped[2] - clipped[0]) * (clipped[3] - clipped[1]) if area is None else area)
            self.crowd.append(crowd)

    def sample(self, name: str, source: Path | Rendered) -> Sample:
        return Sample(
            name=name,
            source=source,
            boxes=np.array(self.boxes, np.float64).reshape(-1, 4),
            labels=np.array(self.labels, np.int64),
            areas=np.array(self.areas, np.float64),
            crowd=np.array(self.crowd, np.bool_),
        )


def _plain(box: Iterable[float]) -> str:
    return " ".join(f"{value:g}" for value in box)


def by_name(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """In the order of the file names."""
    return tuple(sorted(samples, key=lambda sample: sample.name))


def with_classes(data: DataSet[S], classes: tuple[str, ...]) -> DataSet[S]:
    """The same pictures with labels that are positions in `classes`: a trained model's own map.

    Raises:
        InputError: the data has a class that the model does not know.
    """
    for name in data.classes:
        if name not in classes:
            raise InputError(f"the model was not trained on the class {name!r} (it knows {', '.join(classes)})")
    positions = np.array([classes.index(name) for name in data.classes], np.int64)
    splits = {
        split: tuple(sample.relabelled(positions) for sample in samples) for split, samples in data.splits.items()
    }
    return replace(data, classes=classes, splits=splits)
