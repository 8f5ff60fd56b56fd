"""What every reader makes: samples, gathered in a data set with one class map."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from backbones.errors import InputError
from tasks.data.faults import Fault
from tasks.data.pictures import check_size, read_picture

Image = NDArray[np.uint8]
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class Rendered(Protocol):
    """A picture that is made, not read."""

    def render(self) -> Image: ...


def read_source(source: Path | Rendered) -> Image:
    """The picture as uint8 RGB (H, W, 3)."""
    return read_picture(source) if isinstance(source, Path) else source.render()


@dataclass(frozen=True)
class Sample:
    """A picture with its objects.

    Attributes:
        name: the picture's file name within its split.
        source: the file, or what draws the picture.
        size: (width, height) in pixels.
        boxes: (n, 4) float64, x_min y_min x_max y_max in pixels of the picture, inside it, with area.
        labels: (n,) int64, positions in the data set's classes.
        areas: (n,) float64, of the object in square pixels (its mask's, where there is one).
        crowd: (n,) bool, regions to ignore: neither objects nor background.
        segmentations: n outlines as COCO writes them, JSON text, each perhaps empty; or none at all.
    """

    name: str
    source: Path | Rendered
    size: tuple[int, int]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    segmentations: tuple[bytes, ...] = ()

    @property
    def file(self) -> Path | None:
        """Of the picture, unless it is made."""
        return self.source if isinstance(self.source, Path) else None

    @property
    def where(self) -> str:
        """What messages call it."""
        return str(self.file or self.name)

    def read(self) -> Image:
        """The picture as uint8 RGB (H, W, 3).

        Raises:
            InputError: the file is unreadable, or not of the size that its annotation tells.
        """
        image = read_source(self.source)
        if isinstance(self.source, Path):
            check_size(self.source, (image.shape[1], image.shape[0]), self.size)
        return image


class Indexed(Protocol[S_co]):
    """What can be counted, indexed and walked through."""

    def __len__(self) -> int: ...
    def __getitem__(self, position: int, /) -> S_co: ...
    def __iter__(self) -> Iterator[S_co]: ...


class Split(Indexed[S_co], Protocol[S_co]):
    """The samples of a split, in the order of their names."""

    @property
    def names(self) -> Sequence[str]: ...

    def present(self) -> set[int]:
        """The labels that occur."""
        ...

    def shown(self, classes: int) -> NDArray[np.bool_]:
        """(pictures, classes): which label occurs on which picture."""
        ...

    def relabelled(self, positions: NDArray[np.int64]) -> "Split[S_co]":
        """With label `positions[k]` for each k."""
        ...

    def take(self, positions: Sequence[int]) -> "Split[S_co]":
        """The samples at these positions."""
        ...


@dataclass(frozen=True)
class DataSet(Generic[S]):
    """Pictures to train on and to judge by.

    Attributes:
        layout: the format, as a person calls it.
        classes: the names; a label is a position in it.
        splits: "train", "val" and perhaps "test".
        faults: what the reader found wrong, none of which stops a training.
        category_ids: what the annotation file calls each class, where it numbers them.
    """

    layout: str
    classes: tuple[str, ...]
    splits: Mapping[str, Split[S]]
    faults: tuple[Fault, ...] = ()
    category_ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        sizes = ", ".join(f"{len(samples)} {split}" for split, samples in self.splits.items())
        count = f"{len(self.classes)} class{'es' if len(self.classes) > 1 else ''}"
        return f"{self.layout}: {sizes} pictures; {count}: {', '.join(self.classes)}"

    @property
    def dropped(self) -> tuple[str, ...]:
        """A line for every annotation left out."""
        return tuple(fault.message for fault in self.faults if fault.level == "dropped")

    def classes_without_objects(self, split: str = "train") -> list[str]:
        """The classes that `split` has nothing of."""
        seen = self.splits[split].present()
        return [name for label, name in enumerate(self.classes) if label not in seen]


def with_classes(data: DataSet[S], classes: tuple[str, ...]) -> DataSet[S]:
    """The same pictures with labels that are positions in `classes`: a trained model's own map.

    Raises:
        InputError: the data has a class that the model does not know.
    """
    for name in data.classes:
        if name not in classes:
            raise InputError(f"the model was not trained on the class {name!r} (it knows {', '.join(classes)})")
    positions = np.array([classes.index(name) for name in data.classes], np.int64)
    splits: dict[str, Any] = {split: samples.relabelled(positions) for split, samples in data.splits.items()}
    numbers = dict(zip(data.classes, data.category_ids, strict=False))
    category_ids = tuple(numbers.get(name, -1) for name in classes) if numbers else ()
    return replace(data, classes=classes, splits=splits, category_ids=category_ids)


def with_val(data: DataSet[S], fraction: float, seed: int) -> DataSet[S]:
    """The data set itself where it has a val split, otherwise with a share of train as val.

    Which pictures those are depends on their names and the seed alone: pictures that are added later move none of
    the others.

    Raises:
        InputError: train is too small to part with any.
    """
    if "val" in data.splits:
        return data
    train = data.splits["train"]
    count = round(fraction * len(train))
    if not 0 < count < len(train):
        raise InputError(f"no val split, and {fraction:g} of the {len(train)} training pictures make none; add one")
    drawn = sorted(range(len(train)), key=lambda position: _digest(seed, train.names[position]))
    held = sorted(drawn[:count])
    kept = sorted(drawn[count:])
    splits: dict[str, Any] = {**data.splits, "train": train.take(kept), "val": train.take(held)}
    order = [split for split in ("train", "val", "test") if split in splits]
    layout = f"{data.layout} (no val split: {fraction:g} of train, by data.split_seed {seed})"
    return replace(data, layout=layout, splits={split: splits[split] for split in order})


def _digest(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest()
