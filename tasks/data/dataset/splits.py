"""What every reader gives: splits of samples, in a data set with one class map."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from backbones import InputError, nearest
from tasks.data.findings import Finding

_MOST_NAMED, _NAMED = 100, 10  # classes

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class Indexed(Protocol[S_co]):
    """What can be counted, indexed and walked through."""

    def __len__(self) -> int: ...
    def __getitem__(self, position: int, /) -> S_co: ...
    def __iter__(self) -> Iterator[S_co]: ...


class Split(Indexed[S_co], Protocol[S_co]):
    """The samples of a split, in the order of their names."""

    @property
    def names(self) -> Sequence[str]: ...

    def label_set(self) -> set[int]:
        """The labels that occur."""
        ...

    def class_presence(self, classes: int) -> NDArray[np.bool_]:
        """(images, classes): which label occurs on which image."""
        ...

    def relabelled(self, positions: NDArray[np.int64]) -> "Split[S_co]":
        """With label `positions[k]` for each k; what a negative one has is left out."""
        ...

    def take(self, positions: Sequence[int]) -> "Split[S_co]":
        """The samples at these positions."""
        ...

    def concatenated(self, others: Sequence[Any]) -> "Split[S_co]":
        """With the samples of splits of the same kind, in the order of their names: paths from the folder that holds
        all of them."""
        ...


@dataclass(frozen=True)
class DataSet(Generic[S]):
    """Images to train on and to evaluate with.

    Attributes:
        layout: the format, as a person calls it.
        classes: the names; a label is a position in it.
        splits: "train", "val" and perhaps "test".
        findings: what the reader found wrong, none of which stops a training.
        category_ids: for each split what its annotation file calls each class, where it numbers them; -1 for one
            that it lacks.
    """

    layout: str
    classes: tuple[str, ...]
    splits: Mapping[str, Split[S]]
    findings: tuple[Finding, ...] = ()
    category_ids: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        sizes = ", ".join(f"{len(samples)} {split}" for split, samples in self.splits.items())
        count = f"{len(self.classes)} class{'es' if len(self.classes) > 1 else ''}"
        names = self.classes if len(self.classes) <= _MOST_NAMED else (*self.classes[:_NAMED], "...", self.classes[-1])
        return f"{self.layout}: {sizes} images; {count}: {', '.join(names)}"

    @property
    def dropped(self) -> tuple[str, ...]:
        """A line for every annotation left out."""
        return tuple(finding.message for finding in self.findings if finding.level == "dropped")

    def classes_without_objects(self, split: str = "train") -> list[str]:
        """The classes that `split` has nothing of."""
        seen = self.splits[split].label_set()
        return [name for label, name in enumerate(self.classes) if label not in seen]


def with_classes(data: DataSet[S], classes: tuple[str, ...]) -> DataSet[S]:
    """The same images with labels that are positions in `classes`: a trained model's own map.

    Raises:
        InputError: the data has a class that the model does not know.
    """
    for name in data.classes:
        if name not in classes:
            raise InputError(f"the model was not trained on the class {name!r} (it knows {', '.join(classes)})")
    positions = np.array([classes.index(name) for name in data.classes], np.int64)
    splits: dict[str, Any] = {split: samples.relabelled(positions) for split, samples in data.splits.items()}
    category_ids = {}
    for split, ids in data.category_ids.items():
        numbers = dict(zip(data.classes, ids, strict=True))
        category_ids[split] = tuple(numbers.get(name, -1) for name in classes)
    return replace(data, classes=classes, splits=splits, category_ids=category_ids)


def with_val(data: DataSet[S], fraction: float, seed: int) -> DataSet[S]:
    """The data set itself where it has a val split, otherwise with a share of train as val.

    Which images those are depends on their names and the seed alone: images that are added later move none of
    the others.

    Raises:
        InputError: train is too small to part with any.
    """
    if "val" in data.splits:
        return data
    train = data.splits["train"]
    count = round(fraction * len(train))
    if not 0 < count < len(train):
        raise InputError(f"no val split, and {fraction:g} of the {len(train)} training images make none; add one")
    shuffled = sorted(range(len(train)), key=lambda position: _digest(seed, train.names[position]))
    splits: dict[str, Any] = {
        **data.splits,
        "train": train.take(sorted(shuffled[count:])),
        "val": train.take(sorted(shuffled[:count])),
    }
    order = [split for split in ("train", "val", "test") if split in splits]
    layout = f"{data.layout} (no val split: {fraction:g} of train, by data.split_seed {seed})"
    return replace(data, layout=layout, splits={split: splits[split] for split in order})


def with_split(data: DataSet[S], split: str, part: DataSet[S], where: str) -> DataSet[S]:
    """The data set with another one, all of it, as a split.

    Raises:
        InputError: it has a class that the data set lacks.
    """
    for name in part.classes:
        if name not in data.classes:
            raise InputError(
                f"{where}: the class {name!r} does not occur in train{nearest(name, data.classes)} "
                f"(train has {', '.join(data.classes)})"
            )
    positions = np.array([data.classes.index(name) for name in part.classes], np.int64)
    (samples,) = part.splits.values()
    added: Any = samples.relabelled(positions)
    numbers = dict(zip(part.classes, part.category_ids.get("train", ()), strict=False))
    ids = {split: tuple(numbers.get(name, -1) for name in data.classes)} if numbers else {}
    splits: Any = {name: value for name, value in data.splits.items() if name != split} | {split: added}
    ordered = {name: splits[name] for name in ("train", "val", "test") if name in splits}
    return replace(data, splits=ordered, findings=part.findings, category_ids={**data.category_ids, **ids})


def _digest(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest()
