"""Folders of pictures with folders of masks beside them, in the common layouts."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from backbones.errors import InputError
from tasks.data.masks import ClassMap, MaskedSample, MaskFile, read_values
from tasks.data.pictures import picture_size
from tasks.data.samples import DataSet

_PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
_SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test",)}
_MASKS = ("masks", "mask", "labels", "annotations", "SegmentationClass")
_IGNORED = ("unlabelled", "unlabeled", "void", "ignore")
_VOC_IGNORED = 255
_BINARY = {0, 255}

Pair = tuple[Path, Path]


def is_mask_folders(folder: Path) -> bool:
    return bool(_find_splits(folder))


def read_mask_folders(folder: Path) -> DataSet[MaskedSample]:
    """Pictures and masks of one of these layouts, paired by name; a mask may end in _mask, _label or _L:

        train/images + train/masks, ...     images/train + masks/train, ...     train + trainannot, ... (CamVid)
        JPEGImages + SegmentationClass + ImageSets/Segmentation/train.txt, ... (Pascal VOC)

    Classes are named by classes.txt, a line each: the name, and r g b for colour-coded masks. Without it they are
    the values in the masks, where 255 is ignored unless the masks hold 0 and 255 alone. The names unlabelled and void
    are ignored.

    Raises:
        InputError: a missing split, a missing mask, another size than the picture's, a stray value.
    """
    splits = {split: pairs for split, pairs in _find_splits(folder).items() if pairs}
    for split, purpose in (("train", "to train on"), ("val", "to validate on")):
        if split not in splits:
            raise InputError(f"{folder}: has no pictures with masks {purpose} ({split})")
    for image, mask in (pair for pairs in splits.values() for pair in pairs):
        _check_sizes(image, mask)
    classes, layout = _class_map(folder, [mask for pairs in splits.values() for _, mask in pairs])
    return DataSet(
        layout=layout,
        classes=classes.names,
        splits={
            split: tuple(MaskedSample(image.name, image, MaskFile(mask, classes)) for image, mask in pairs)
            for split, pairs in splits.items()
        },
    )


def _find_splits(folder: Path) -> dict[str, list[Pair]]:
    lists = folder / "ImageSets" / "Segmentation"
    if lists.is_dir():
        images, masks = folder / "JPEGImages", folder / "SegmentationClass"
        return {split: _listed(lists / f"{split}.txt", images, masks) for split in _SPLITS}
    found: dict[str, list[Pair]] = {}
    for split, names in _SPLITS.items():
        for name in names:
            candidates = [(folder / name / "images", folder / name / mask) for mask in _MASKS]
            candidates += [(folder / "images" / name, folder / mask / name) for mask in _MASKS]
            candidates += [(folder / name, folder / f"{name}annot"), (folder / name, folder / f"{name}_labels")]
            for images, masks in candidates:
                if images.is_dir() and masks.is_dir():
                    found[split] = _paired(images, masks)
    return found


def _listed(file: Path, images: Path, masks: Path) -> list[Pair]:
    if not file.is_file():
        return []
    names = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(_only(images, name), _only(masks, name)) for name in sorted(names)]


def _only(folder: Path, stem: str) -> Path:
    found = sorted(path for path in folder.glob(f"{stem}.*") if path.suffix.lower() in _PICTURES)
    return found[0] if found else folder / f"{stem}.png"  # reported as missing when it is looked for


def _paired(images: Path, masks: Path) -> list[Pair]:
    by_stem = {re.sub(r"(_mask|_label|_labels|_L)$", "", path.stem): path for path in _pictures(masks)}
    if not by_stem:
        raise InputError(f"{masks}: the mask folder is empty")
    pairs = []
    for image in _pictures(images):
        if image.stem not in by_stem:
            raise InputError(f"{image}: has no mask in {masks}; add it or remove the picture")
        pairs.append((image, by_stem[image.stem]))
    return pairs


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)


def _check_sizes(image: Path, mask: Path) -> None:
    if not mask.is_file():
        raise InputError(f"{mask}: the mask is missing; restore it or remove its picture")
    size, mask_size = picture_size(image), picture_size(mask)
    if size != mask_size:
        raise InputError(
            f"{mask}: is {mask_size[0]}x{mask_size[1]} pixels, its picture {image} {size[0]}x{size[1]}; "
            f"masks must have their pictures' sizes"
        )


def _class_map(folder: Path, masks: Sequence[Path]) -> tuple[ClassMap, str]:
    file = folder / "classes.txt"
    if not file.is_file():
        return _counted(masks), "mask folders (classes counted from the masks)"
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    coloured = [len(line) > 3 and all(part.isdigit() for part in line[-3:]) for line in lines]
    if any(coloured) and not all(coloured):
        raise InputError(f"{file}: line {coloured.index(False) + 1} has no colour; write 'name r g b' in every line")
    names = [" ".join(line[:-3] if colour else line) for line, colour in zip(lines, coloured, strict=True)]
    colours = {
        (int(line[-3]), int(line[-2]), int(line[-1])): value
        for value, (line, colour) in enumerate(zip(lines, coloured, strict=True))
        if colour
    }
    kept = [value for value, name in enumerate(names) if name.lower() not in _IGNORED]
    ignored = {value for value in range(len(names)) if value not in kept} | {_VOC_IGNORED}
    return (
        ClassMap(tuple(names[value] for value in kept), tuple(kept), frozenset(ignored), colours),
        f"mask folders ({file.name})",
    )


def _counted(masks: Iterable[Path]) -> ClassMap:
    values: set[int] = set()
    for mask in masks:
        values |= set(np.unique(read_values(mask, {})).tolist())
    ignored = frozenset({_VOC_IGNORED} & values if values != _BINARY else ())
    kept = sorted(values - ignored)
    return ClassMap(tuple(str(value) for value in kept), tuple(kept), ignored)
