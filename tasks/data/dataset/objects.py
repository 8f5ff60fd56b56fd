"""From objects as annotations give them to the table of a split, their boxes checked on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.dataset.boxes import clean_boxes, report_odd
from tasks.data.dataset.sample import Renderable
from tasks.data.dataset.table import SampleTable, Texts
from tasks.data.findings import Findings, Place

_UNKNOWN = float("nan")


@dataclass
class Objects:
    """Objects as annotations give them, one an entry of each list, in any order; or of arrays, where they are many.

    Attributes:
        image: which one it is on, a position.
        boxes: x_min, y_min, x_max, y_max in pixels.
        labels: positions in the classes.
        areas: in square pixels, or NaN for the box's.
        crowd: whether it is a region to ignore.
        segmentations: polygons as COCO writes them, JSON text; empty where there are none.
    """

    image: list[int] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] | NDArray[np.float64] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    areas: list[float] | NDArray[np.float64] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    segmentations: list[bytes] = field(default_factory=list)

    def add(
        self,
        image: int,
        box: tuple[float, float, float, float],
        label: int,
        area: float = _UNKNOWN,
        crowd: bool = False,
    ) -> None:
        assert isinstance(self.boxes, list)
        assert isinstance(self.areas, list)
        self.image.append(image)
        self.boxes.append(box)
        self.labels.append(label)
        self.areas.append(area)
        self.crowd.append(crowd)


def build_table(
    names: Sequence[str],
    images: Path | Sequence[Renderable],
    sizes: Sequence[tuple[float, float]],
    objects: Objects,
    place_of: Callable[[int], Place],
    ids: Sequence[bytes] = (),
    findings: Findings | None = None,
) -> SampleTable:
    """A table in the order of the images' names, their boxes clipped to the images; those without area are dropped.

    Args:
        names, sizes: of the images; sizes are (width, height).
        images: the folder that they lie in, or what renders each.
        place_of: where object k is annotated.
        ids: of the images, JSON text, where they have any.
        findings: takes what is found.

    Raises:
        InputError: a coordinate is not a finite number, and `findings` does not keep such.
    """
    findings = findings or Findings()
    order = np.array(sorted(range(len(names)), key=lambda position: names[position]), np.int64)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    extent = np.asarray(sizes, np.float64).reshape(-1, 2)
    boxes = np.asarray(objects.boxes, np.float64).reshape(-1, 4)
    on = np.asarray(objects.image, np.int64)
    labels, areas = np.asarray(objects.labels, np.int64), np.asarray(objects.areas, np.float64)
    crowd = np.asarray(objects.crowd, np.bool_)

    def report(check: str, number: int, text: str) -> None:
        place, box = place_of(number), boxes[number]
        image = images / names[on[number]] if isinstance(images, Path) else None
        line = f"{place.text} {text}: {' '.join(f'{value:g}' for value in box)}"
        findings.add(check, line, image=image, box=tuple(box.tolist()), place=place)

    clipped = clean_boxes(boxes, extent[on], report)
    useful = ~np.isnan(clipped[:, 0])
    report_odd(on, np.where(useful[:, None], boxes, np.nan), labels, areas, crowd, report)
    kept = np.flatnonzero(useful)
    kept = kept[np.argsort(rank[on[kept]], kind="stable")]
    boxes = clipped[kept]
    areas = areas[kept]
    return SampleTable(
        names=Texts(names[position].encode("utf-8", "surrogatepass") for position in order),
        images=images if isinstance(images, Path) else tuple(images[position] for position in order),
        sizes=extent[order].astype(np.int32),
        first=np.searchsorted(rank[on[kept]], np.arange(len(names) + 1)).astype(np.int64),
        boxes=boxes,
        labels=labels[kept],
        areas=np.where(np.isnan(areas), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1), areas),
        crowd=crowd[kept],
        segmentations=Texts(objects.segmentations[number] for number in kept) if objects.segmentations else None,
        ids=Texts(ids[position] for position in order) if ids else None,
    )
