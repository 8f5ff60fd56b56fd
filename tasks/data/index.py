"""A split's pictures and objects in flat arrays, which worker processes share without copying.

Lists of Python objects are copied into every worker page by page, since counting references writes to them.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.samples import Rendered, Sample


class Texts(Sequence[str]):
    """Many short texts in one: a sequence of str without a Python object for each."""

    def __init__(self, items: Iterable[bytes]) -> None:
        parts = list(items)
        self._all = b"".join(parts)
        self._ends = np.cumsum([0, *map(len, parts)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def raw(self, position: int) -> bytes:
        return self._all[self._ends[position] : self._ends[position + 1]]

    def __getitem__(self, position: int) -> str:  # type: ignore[override]
        if position >= len(self):
            raise IndexError(position)
        return self.raw(position).decode("utf-8", "surrogatepass")  # names on disk may be no UTF-8

    def take(self, positions: Iterable[int]) -> "Texts":
        return Texts(self.raw(position) for position in positions)


@dataclass(frozen=True)
class Samples:
    """The samples of a split, made when they are asked for.

    Attributes:
        names: of the pictures, in alphabetical order.
        pictures: the folder that they lie in, or what draws each.
        sizes: (N, 2) int32, width and height in pixels.
        first: (N + 1,) int64, where each picture's objects begin in the arrays below.
        boxes, labels, areas, crowd: (M, ...), as in `Sample`.
        segmentations: M texts, or None.
        ids: what the annotation file calls each picture, JSON text, or None where it has no such names.
    """

    names: Texts
    pictures: Path | tuple[Rendered, ...]
    sizes: NDArray[np.int32]
    first: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    segmentations: Texts | None = None
    ids: Texts | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int, /) -> Sample:
        name = self.names[position]
        start, stop = int(self.first[position]), int(self.first[position + 1])
        objects = slice(start, stop)
        texts = self.segmentations
        return Sample(
            name=name,
            source=self.pictures / name if isinstance(self.pictures, Path) else self.pictures[position],
            size=(int(self.sizes[position, 0]), int(self.sizes[position, 1])),
            boxes=self.boxes[objects],
            labels=self.labels[objects],
            areas=self.areas[objects],
            crowd=self.crowd[objects],
            segmentations=() if texts is None else tuple(texts.raw(number) for number in range(start, stop)),
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[position] for position in range(len(self)))

    def present(self) -> set[int]:
        """The labels that occur."""
        return set(np.unique(self.labels).tolist())

    def shown(self, classes: int) -> NDArray[np.bool_]:
        """(pictures, classes): which label occurs on which picture."""
        found = np.zeros((len(self), classes), np.bool_)
        on = np.repeat(np.arange(len(self)), np.diff(self.first))
        found[on[~self.crowd], self.labels[~self.crowd]] = True
        return found

    def relabelled(self, positions: NDArray[np.int64]) -> "Samples":
        """With label `positions[k]` for each k."""
        return replace(self, labels=positions[self.labels])

    def take(self, positions: Sequence[int]) -> "Samples":
        """The samples at these positions."""
        counts = np.diff(self.first)[list(positions)]
        spans = [np.arange(self.first[position], self.first[position + 1]) for position in positions]
        objects = np.concatenate([np.zeros(0, np.int64), *spans])
        pictures = self.pictures
        return Samples(
            names=self.names.take(positions),
            pictures=pictures if isinstance(pictures, Path) else tuple(pictures[position] for position in positions),
            sizes=self.sizes[list(positions)],
            first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            boxes=self.boxes[objects],
            labels=self.labels[objects],
            areas=self.areas[objects],
            crowd=self.crowd[objects],
            segmentations=None if self.segmentations is None else self.segmentations.take(objects.tolist()),
            ids=None if self.ids is None else self.ids.take(positions),
        )


def joined(parts: Sequence[Samples]) -> Samples:
    """The samples of several folders, named by their paths from the one that holds all."""
    folders = [part.pictures.resolve() for part in parts if isinstance(part.pictures, Path)]
    base = Path(os.path.commonpath(folders))
    names = [
        os.path.relpath(folder / name, base).encode("utf-8", "surrogatepass")
        for folder, part in zip(folders, parts, strict=True)
        for name in part.names
    ]
    texts = [part.segmentations for part in parts]
    outlines = None
    if all(text is not None for text in texts):
        outlines = Texts(text.raw(number) for text in texts if text is not None for number in range(len(text)))
    counts = np.concatenate([np.diff(part.first) for part in parts])
    whole = Samples(
        names=Texts(names),
        pictures=base,
        sizes=np.concatenate([part.sizes for part in parts]),
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes=np.concatenate([part.boxes for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        areas=np.concatenate([part.areas for part in parts]),
        crowd=np.concatenate([part.crowd for part in parts]),
        segmentations=outlines,
    )
    return whole.take(sorted(range(len(names)), key=names.__getitem__))
