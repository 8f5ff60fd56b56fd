"""Masks of single objects, as microscopists have them: numbered pixels, or a file for each object."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tasks.config import Annotations, DataSettings
from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.sample import Sample
from tasks.data.dataset.splits import DataSet
from tasks.data.dataset.table import SampleTable
from tasks.data.findings import DataError, Finding, Findings, Place
from tasks.data.folders.tree import SPLITS, LayoutError, Tree, joined
from tasks.data.formats.format import Format
from tasks.data.formats.mask_pairs import find_pairs, paired
from tasks.data.images import image_sizes
from tasks.data.masks.mask_files import read_numbers
from tasks.data.masks.polygons import packed_runs

_CLASS = "object"


@dataclass(frozen=True)
class _Files:
    """An image with its masks: one of numbered pixels, or one for each object."""

    image: Path
    masks: tuple[Path, ...]


def recognise(tree: Tree) -> bool:
    return bool(find_pairs(tree, objects=True)) or bool(_folders_of_objects(tree))


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[Sample]:
    """Images with masks in a folder beside theirs that is called instances, where each number, or colour, is an object
    and 0, or black, is none; or with a folder of masks for each image (a/images/a.png and a/masks/*.png, or
    images/a.png and masks/a/*.png), where a file is an object. There is one class, "object"; every mask is read.

    Raises:
        InputError: a mask is missing, unreadable, or of another size than its image.
    """
    found = _numbered(tree, findings) or _folders_of_objects(tree)
    if "train" not in found:
        raise LayoutError(f"{tree.folder}: {' and '.join(found)} alone; wanted are images to train on, in train/")
    splits = {split: _index(found[split], findings) for split in SPLITS if split in found}
    return DataSet("instance masks", (_CLASS,), splits, tuple(findings.found))


def _numbered(tree: Tree, findings: Findings) -> dict[str, list[_Files]]:
    found: dict[str, list[_Files]] = {}
    for (images_in, masks_in), masks in find_pairs(tree, objects=True).items():
        pairs, without_mask, _ = paired(tree.images[images_in], masks)
        for name in without_mask:
            image = tree.folder / images_in / name
            line = f"{image}: has no mask in {tree.folder / masks_in}; add it or remove the image"
            findings.add("mask-missing", line, image=image)
        found.setdefault(tree.split_of(images_in) or "train", []).extend(
            _Files(tree.folder / images_in / image, (tree.folder / masks_in / mask,)) for image, mask in pairs
        )
    return found


def _folders_of_objects(tree: Tree) -> dict[str, list[_Files]]:
    found: dict[str, list[_Files]] = {}
    several = False
    for (images_in, masks_in), masks in find_pairs(tree).items():
        images = tree.images[images_in]
        if len(images) != 1:
            return {}
        several |= len(masks) > 1
        files = _Files(tree.folder / images_in / images[0], tuple(tree.folder / masks_in / mask for mask in masks))
        found.setdefault(tree.split_of(images_in) or "train", []).append(files)
    if several:
        return found
    named: dict[str, list[_Files]] = {}
    for directory, files_there in tree.images.items():
        place, _, name = directory.rpartition("/")
        named_so = [path for path in tree.by_stem.get(name, ()) if path.rpartition("/")[0] != directory]
        if "mask" in place.lower() and len(named_so) == 1:
            image = named_so[0]
            files = _Files(tree.folder / image, tuple(tree.folder / joined(directory, mask) for mask in files_there))
            named.setdefault(tree.split_of(image.rpartition("/")[0]) or "train", []).append(files)
    return named


def _index(files: Sequence[_Files], findings: Findings) -> SampleTable:
    base = Path(os.path.commonpath([one.image.parent for one in files]))
    found = image_sizes(base, [_name(one, base) for one in files], [None] * len(files), findings)
    kept: list[_Files] = []
    sizes: list[tuple[int, int]] = []
    objects, places = Objects(), []
    for one, known in zip(files, found, strict=True):
        if known is None:
            continue
        size = (int(known[0]), int(known[1]))
        with findings.skipping():
            items = list(_objects(one, size))
            for place, pixels in items:
                rows, columns = pixels[1], pixels[0]
                box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
                objects.add(len(kept), tuple(map(float, box)), 0, float(len(rows)))  # type: ignore[arg-type]
                runs = packed_runs(columns.astype(np.int64) * size[1] + rows, size)
                objects.segmentations.append(msgspec.json.encode({"size": [size[1], size[0]], "counts": runs}))
                places.append(place)
            kept.append(one)
            sizes.append(size)
    return build_table([_name(one, base) for one in kept], base, sizes, objects, places.__getitem__, findings=findings)


def _name(files: _Files, base: Path) -> str:
    return files.image.relative_to(base).as_posix()


def _objects(files: _Files, size: tuple[int, int]) -> Iterator[tuple[Place, NDArray[np.intp]]]:
    """Where each object is annotated, and its (columns, rows), column by column."""
    for mask in files.masks:
        numbers = read_numbers(mask)
        if numbers.shape != (size[1], size[0]):
            line = (
                f"{mask}: is {numbers.shape[1]}x{numbers.shape[0]} pixels, its image {files.image} "
                f"{size[0]}x{size[1]}; masks must have their images' sizes"
            )
            raise DataError(Finding("mask-size", line))
        if len(files.masks) > 1:
            numbers = (numbers > 0).astype(np.int64)
        columns, rows = np.nonzero(numbers.T)
        values = numbers[rows, columns]
        order = np.argsort(values, kind="stable")
        ends = np.flatnonzero(np.diff(values[order])) + 1
        for part in np.split(order, ends) if len(order) else []:
            where = f"{mask}: object {values[part[0]]}" if len(files.masks) == 1 else f"{mask}: the object"
            yield Place(where), np.stack([columns[part], rows[part]])


FORMAT = Format(
    key="instances",
    name="instance masks",
    layout="images/ and instances/ of numbered pixels, or a folder of masks for each image",
    annotations=("boxes", "polygons"),
    precedence=5,
    recognise=recognise,
    read=read,
)
