"""From images that are annotated one by one, with classes by name, to a data set."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backbones import InputError, nearest
from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.tree import SPLITS
from tasks.data.images import Size, image_sizes
from tasks.data.masks.regions import Region, RegionError


@dataclass(frozen=True)
class AnnotatedObject:
    """An object.

    Attributes:
        name: its class.
        region: in pixels of the image, or in shares of it.
        place: where it is annotated.
        crowd: whether it is a region to ignore.
    """

    name: str
    region: Region
    place: Place
    crowd: bool = False


@dataclass(frozen=True)
class AnnotatedImage:
    """An image with its objects.

    Attributes:
        annotation: the file that says so.
        size: (width, height) in pixels, where it is annotated.
        in_shares: whether boxes are in shares of the image; such are without polygons.
    """

    image: Path
    annotation: Path
    objects: Sequence[AnnotatedObject]
    size: Size | None = None
    in_shares: bool = False


def labelled(name: str) -> str:
    """The name of a class.

    Raises:
        RegionError: it is empty.
    """
    if not name:
        raise RegionError("has no label", "shape-unlabelled")
    return name


@contextmanager
def taking_shape(place: Place, image: Path, findings: Findings) -> Iterator[None]:
    """Leave the block at a shape that cannot be taken, which is found."""
    try:
        yield
    except RegionError as error:
        findings.add(error.check, f"{place.text}: {error}", image=image, place=place)


def data_set(
    layout: str,
    folder: Path,
    splits: Mapping[str, Sequence[AnnotatedImage]],
    findings: Findings,
    *,
    polygons: bool = False,
) -> DataSet[Sample]:
    """The classes are the names in train, in alphabetical order.

    Args:
        layout: the format, as a person calls it.
        folder: of the data set, for messages.
        polygons: whether they are wanted.

    Raises:
        InputError: there is no train, no object in it, an image is missing or unreadable, or val or test has a class
            that train lacks.
    """
    if not splits:
        raise InputError(f"{folder}: no image is annotated")
    if "train" not in splits:
        raise InputError(f"{folder}: {' and '.join(splits)} alone; wanted are images to train on, in train/")
    _report_again(splits, findings)
    classes = tuple(sorted({item.name for one in splits["train"] for item in one.objects}))
    if not classes:
        what = f"no object on any of the {len(splits['train'])} images of train{findings.left_out}"
        raise DataError(Finding("class-none", f"{folder}: {what}; there is nothing to learn"))
    tables = {split: _table(splits[split], classes, polygons, findings) for split in SPLITS if split in splits}
    return DataSet(layout, classes, tables, tuple(findings.found))


def _table(
    annotated: Sequence[AnnotatedImage], classes: tuple[str, ...], polygons: bool, findings: Findings
) -> SampleTable:
    folder = Path(os.path.commonpath([one.image.parent for one in annotated] or [Path()]))
    found = image_sizes(folder, [_name(one, folder) for one in annotated], [one.size for one in annotated], findings)
    known = [(one, size) for one, size in zip(annotated, found, strict=True) if size is not None]
    labels = {name: label for label, name in enumerate(classes)}
    objects, places = Objects(), []
    for position, (one, size) in enumerate(known):
        scale = size if one.in_shares else (1, 1)
        for item in one.objects:
            if item.name not in labels:
                line = (
                    f"{item.place.text}: the class {item.name!r} does not occur in train{nearest(item.name, classes)} "
                    f"(train has {', '.join(classes)})"
                )
                findings.add("class-unknown", line, image=one.image, box=item.region.box)
                continue
            x_min, y_min, x_max, y_max = item.region.box
            box = (x_min * scale[0], y_min * scale[1], x_max * scale[0], y_max * scale[1])
            objects.add(position, box, labels[item.name], item.region.area, item.crowd)
            if polygons:
                objects.segmentations.append(item.region.segmentation)
            places.append(item.place)
    names, sizes = [_name(one, folder) for one, _ in known], [size for _, size in known]
    return build_table(names, folder, sizes, objects, places.__getitem__, findings=findings)


def _report_again(splits: Mapping[str, Sequence[AnnotatedImage]], findings: Findings) -> None:
    """Images that are annotated in two places; the same place in two splits is for the doctor to find."""
    seen: dict[Path, tuple[str, Path]] = {}
    for split, images in splits.items():
        for one in images:
            if one.image in seen:
                before, other = seen[one.image]
                if other != one.annotation or before == split:
                    where = f"{other} and in {one.annotation}" if other != one.annotation else f"{other} twice"
                    findings.add(
                        "image-listed-twice", f"{one.image}: is annotated in {where}; keep one", image=one.image
                    )
            seen[one.image] = split, one.annotation


def _name(one: AnnotatedImage, folder: Path) -> str:
    return one.image.relative_to(folder).as_posix()
