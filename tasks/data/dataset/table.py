"""A split's images and objects in flat arrays, which worker processes share without copying.

Lists of Python objects are copied into every worker page by page, since counting references writes to them.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.dataset.sample import Renderable, Sample


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

    def lengths(self) -> NDArray[np.int64]:
        """In bytes."""
        return np.diff(self._ends)

    def take(self, positions: Iterable[int]) -> "Texts":
        return Texts(self.raw(position) for position in positions)


@dataclass(frozen=True)
class SampleTable:
    """The samples of a split, each put together when it is asked for.

    Attributes:
        names: of the images, in alphabetical order.
        images: the folder that they lie in, or what renders each.
        sizes: (N, 2) int32, width and height in pixels.
        first: (N + 1,) int64, where each image's objects begin in the arrays below.
        boxes, labels, areas, crowd: (M, ...), as in `Sample`.
        segmentations: M texts, or None.
        ids: what the annotation file calls each image, JSON text, or None where it has no such names.
        unlabelled: (N, classes), which labels nobody looked for on which image, or None where all were looked for.
    """

    names: Texts
    images: Path | tuple[Renderable, ...]
    sizes: NDArray[np.int32]
    first: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    segmentations: Texts | None = None
    ids: Texts | None = None
    unlabelled: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int, /) -> Sample:
        name = self.names[position]
        start, stop = int(self.first[position]), int(self.first[position + 1])
        objects = slice(start, stop)
        texts = self.segmentations
        return Sample(
            name=name,
            source=self.images / name if isinstance(self.images, Path) else self.images[position],
            size=(int(self.sizes[position, 0]), int(self.sizes[position, 1])),
            boxes=self.boxes[objects],
            labels=self.labels[objects],
            areas=self.areas[objects],
            crowd=self.crowd[objects],
            segmentations=() if texts is None else tuple(texts.raw(number) for number in range(start, stop)),
            unlabelled=() if self.unlabelled is None else tuple(np.flatnonzero(self.unlabelled[position]).tolist()),
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[position] for position in range(len(self)))

    def label_set(self) -> set[int]:
        """The labels of objects; a crowd region is none."""
        return set(np.unique(self.labels[~self.crowd]).tolist())

    def class_presence(self, classes: int) -> NDArray[np.bool_]:
        """(images, classes): which label occurs on which image."""
        found = np.zeros((len(self), classes), np.bool_)
        on = np.repeat(np.arange(len(self)), np.diff(self.first))
        found[on[~self.crowd], self.labels[~self.crowd]] = True
        return found

    def relabelled(self, positions: NDArray[np.int64]) -> "SampleTable":
        """With label `positions[k]` for each k; objects whose label becomes negative are left out."""
        labels = positions[self.labels]
        unlabelled = None if self.unlabelled is None else _relabelled_columns(self.unlabelled, positions)
        if (labels >= 0).all():
            return replace(self, labels=labels, unlabelled=unlabelled)
        kept = np.flatnonzero(labels >= 0)
        return replace(
            self,
            unlabelled=unlabelled,
            first=np.searchsorted(kept, self.first).astype(np.int64),
            boxes=self.boxes[kept],
            labels=labels[kept],
            areas=self.areas[kept],
            crowd=self.crowd[kept],
            segmentations=None if self.segmentations is None else self.segmentations.take(kept.tolist()),
        )

    def take(self, positions: Sequence[int]) -> "SampleTable":
        """The samples at these positions."""
        counts = np.diff(self.first)[list(positions)]
        spans = [np.arange(self.first[position], self.first[position + 1]) for position in positions]
        objects = np.concatenate([np.zeros(0, np.int64), *spans])
        images = self.images
        return SampleTable(
            names=self.names.take(positions),
            images=images if isinstance(images, Path) else tuple(images[position] for position in positions),
            sizes=self.sizes[list(positions)],
            first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            boxes=self.boxes[objects],
            labels=self.labels[objects],
            areas=self.areas[objects],
            crowd=self.crowd[objects],
            segmentations=None if self.segmentations is None else self.segmentations.take(objects.tolist()),
            ids=None if self.ids is None else self.ids.take(positions),
            unlabelled=None if self.unlabelled is None else self.unlabelled[list(positions)],
        )

    def without_labels(self, labels: Sequence[int], classes: int) -> "SampleTable":
        """The same images, of which it is known that nobody looked for these of all the labels."""
        unlabelled = np.zeros((len(self), classes), np.bool_)
        unlabelled[:, list(labels)] = True
        return replace(self, unlabelled=unlabelled)

    def concatenated(self, others: Sequence["SampleTable"]) -> "SampleTable":
        """With the samples of other folders, in the order of their names: paths from the folder that holds all."""
        tables = (self, *others)
        folders = [table.images.resolve() for table in tables if isinstance(table.images, Path)]
        base = Path(os.path.commonpath(folders))
        names = [
            os.path.relpath(folder / name, base).encode("utf-8", "surrogatepass")
            for folder, table in zip(folders, tables, strict=True)
            for name in table.names
        ]
        texts = [table.segmentations for table in tables]
        segmentations = None
        if all(text is not None for text in texts):
            segmentations = Texts(text.raw(number) for text in texts if text is not None for number in range(len(text)))
        counts = np.concatenate([np.diff(table.first) for table in tables])
        unlabelled = [table.unlabelled for table in tables if table.unlabelled is not None]
        whole = SampleTable(
            names=Texts(names),
            images=base,
            sizes=np.concatenate([table.sizes for table in tables]),
            first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            boxes=np.concatenate([table.boxes for table in tables]),
            labels=np.concatenate([table.labels for table in tables]),
            areas=np.concatenate([table.areas for table in tables]),
            crowd=np.concatenate([table.crowd for table in tables]),
            segmentations=segmentations,
            unlabelled=np.concatenate(unlabelled) if unlabelled else None,
        )
        return whole.take(sorted(range(len(names)), key=names.__getitem__))


def _relabelled_columns(unlabelled: NDArray[np.bool_], positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of several labels that become one, it is enough that one was looked for."""
    columns = np.ones((len(unlabelled), int(positions.max()) + 1), np.bool_)
    for column, position in zip(unlabelled.T, positions, strict=True):
        if position >= 0:
            columns[:, position] &= column
    return columns
