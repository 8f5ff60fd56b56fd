"""Folders of images with folders of masks beside them, in the common layouts."""

from collections.abc import Iterable, Sequence
from itertools import combinations, islice
from pathlib import Path

import numpy as np

from backbones import InputError
from tasks.config import Annotations, DataSettings, SegmentationData
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings
from tasks.data.folders.tree import SPLITS, LayoutError, Tree, joined, shown
from tasks.data.formats.format import Format
from tasks.data.formats.mask_pairs import by_split, empty_masks, find_pairs, of_one_folder, paired
from tasks.data.formats.mask_writing import write_masks
from tasks.data.images import IMAGE_SUFFIXES, read_image_size
from tasks.data.masks.mask_files import ClassMap, MaskFile, read_values
from tasks.data.masks.samples import MaskedSample, MaskedSamples

_VOC_LISTS = "ImageSets/Segmentation"
_IGNORED = ("unlabelled", "unlabeled", "void", "ignore")
_VOC_IGNORED = 255
_BINARY = {0, 255}
_COMPARED = 20  # folders, to say what is missing
_MOST_CLASSES = 255  # and the label of what is ignored

Pair = tuple[Path, Path]


def recognise(tree: Tree) -> bool:
    """By its folders alone: names of files are compared when it is read."""
    try:
        return _VOC_LISTS in tree.files or bool(find_pairs(tree) or empty_masks(tree) or of_one_folder(tree))
    except InputError:  # two folders of masks
        return True


def near_miss(tree: Tree) -> str | None:
    """Two folders of images with the same names, of which one may hold masks."""
    for first, second in combinations(islice(tree.stems, _COMPARED), 2):
        if len(tree.stems[first] & tree.stems[second]) > len(tree.stems[first]) / 2:
            return (
                f"{shown(first)} and {shown(second)} hold files of the same names: if these are images and masks, call "
                "the folders images and masks"
            )
    return None


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[MaskedSample]:
    """Images and masks, paired by name, in two folders that differ by a word (image/label, images/masks, ...):

        train/images + train/masks, ...     images/train + masks/train, ...     train + trainannot, ... (CamVid)
        images + masks                      JPEGImages + SegmentationClass + ImageSets/Segmentation/train.txt, ... (VOC)

    or in one. All masks may have an ending, or a beginning, of their own (_mask, _manual1), and another suffix.

    Classes are named by classes.txt, a line each: the name, and r g b for colour-coded masks. Without it they are
    the values in the masks, where 255 is ignored unless the masks hold 0 and 255 alone. The names unlabelled and void
    are ignored.

    `settings.classes` names the values 0, 1, ... instead of the file; `settings.ignore_index` is one more value to
    ignore.

    Raises:
        InputError: no train split, a missing mask, another size than the image's, a stray value.
    """
    assert isinstance(settings, SegmentationData)
    folder = tree.folder
    splits = {split: pairs for split, pairs in _find_splits(tree, findings).items() if pairs}
    if empty := empty_masks(tree):
        raise InputError(f"{folder / empty[0]}: the mask folder is empty")
    if "train" not in splits:
        raise InputError(f"{folder}: has no images with masks to train on (train)")
    splits = {split: _whole(pairs, findings) for split, pairs in splits.items()}
    masks = [mask for pairs in splits.values() for _, mask in pairs]
    class_map, layout = _class_map(folder, masks, settings.classes, settings.ignore_index, findings)
    return DataSet(
        layout=layout,
        classes=class_map.names,
        splits={
            split: MaskedSamples.of(
                [MaskedSample(image.name, image, MaskFile(mask, class_map)) for image, mask in pairs]
            )
            for split, pairs in splits.items()
        },
        findings=tuple(findings.found),
    )


def _find_splits(tree: Tree, findings: Findings) -> dict[str, list[Pair]]:
    lists = _VOC_LISTS if _VOC_LISTS in tree.files else None
    if lists:
        images, masks = tree.folder / "JPEGImages", tree.folder / "SegmentationClass"
        files = {split: tree.folder / lists / f"{split}.txt" for split in SPLITS}
        return {split: _listed(file, images, masks) for split, file in files.items() if file.is_file()}
    found = find_pairs(tree)
    pairs: dict[str, list[tuple[str, str]]] = {}
    for (images_in, masks_in), masks_there in found.items():
        pairs[images_in] = []
        named, without_mask, unused = paired(tree.images[images_in], masks_there)
        pairs[images_in] = [(image, joined(masks_in, mask)) for image, mask in named]
        if not named:
            first = f"{without_mask[0]!r} and {unused[0]!r}" if without_mask and unused else ""
            raise LayoutError(
                f"{tree.folder}: found {tree.counts()}: looks like folders of masks, but no file names match: {first}; "
                "give each mask the name of its image"
            )
        for name in without_mask:
            image = tree.folder / images_in / name
            line = f"{image}: has no mask in {tree.folder / masks_in}; add it or remove the image"
            findings.add("mask-missing", line, image=image)
        for name in unused:
            line = f"{tree.folder / masks_in / name}: there is no image of this name in {tree.folder / images_in}"
            findings.add("label-unlisted", line)
    if not pairs and not empty_masks(tree):
        alone = of_one_folder(tree)
        pairs = {place: [(image, joined(place, mask)) for image, mask in files] for place, files in alone.items()}
    return {
        split: [(tree.folder / image, tree.folder / mask) for image, mask in files]
        for split, files in by_split(tree, pairs).items()
    }


def _listed(file: Path, images: Path, masks: Path) -> list[Pair]:
    names = [line.split()[0] for line in _lines(file)]
    return [(_only(images, name), _only(masks, name)) for name in sorted(names)]


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from None


def _only(folder: Path, stem: str) -> Path:
    found = sorted(path for path in folder.glob(f"{stem}.*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return found[0] if found else folder / f"{stem}.png"  # reported as missing when it is looked for


def _whole(pairs: Sequence[Pair], findings: Findings) -> list[Pair]:
    kept = []
    for image, mask in pairs:
        try:
            _check_sizes(image, mask)
        except DataError as error:
            findings.add(error.finding.check, str(error), image=image)
        else:
            kept.append((image, mask))
    return kept


def _check_sizes(image: Path, mask: Path) -> None:
    size, mask_size = read_image_size(image), _mask_size(mask)
    if size != mask_size:
        line = (
            f"{mask}: is {mask_size[0]}x{mask_size[1]} pixels, its image {image} {size[0]}x{size[1]}; "
            f"masks must have their images' sizes"
        )
        raise DataError(Finding("mask-size", line))


def _mask_size(mask: Path) -> tuple[int, int]:
    try:
        return read_image_size(mask)
    except DataError:
        read_values(mask, {})  # which says so of a mask
        raise


def _class_map(
    folder: Path, masks: Sequence[Path], names: Sequence[str], ignore_index: int | None, findings: Findings
) -> tuple[ClassMap, str]:
    ignored = {_VOC_IGNORED} | ({ignore_index} if ignore_index is not None else set())
    file = folder / "classes.txt"
    if names:
        return _named(list(names), {}, ignored), "mask folders (classes as given)"
    if not file.is_file():
        return _counted(masks, ignored, findings), "mask folders (classes counted from the masks)"
    lines = [line.split() for line in _lines(file)]
    coloured = [len(line) > 3 and all(part.isdigit() for part in line[-3:]) for line in lines]
    if any(coloured) and not all(coloured):
        raise InputError(f"{file}: line {coloured.index(False) + 1} has no colour; write 'name r g b' in every line")
    colours = {
        (int(line[-3]), int(line[-2]), int(line[-1])): value
        for value, (line, colour) in enumerate(zip(lines, coloured, strict=True))
        if colour
    }
    found = [" ".join(line[:-3] if colour else line) for line, colour in zip(lines, coloured, strict=True)]
    if not set(map(str.lower, found)) - set(_IGNORED):
        raise InputError(f"{file}: names no class")
    if len(set(found)) < len(found):
        findings.add("class-twice", f"{file}: two classes share a name")
    return _named(found, colours, ignored), f"mask folders ({file.name})"


def _named(names: Sequence[str], colours: dict[tuple[int, int, int], int], ignored: set[int]) -> ClassMap:
    kept = [value for value, name in enumerate(names) if name.lower() not in _IGNORED and value not in ignored]
    left_out = {value for value in range(len(names)) if value not in kept} | ignored
    return ClassMap(tuple(names[value] for value in kept), tuple(kept), frozenset(left_out), colours)


def _counted(masks: Iterable[Path], ignored: set[int], findings: Findings) -> ClassMap:
    values: set[int] = set()
    for mask in masks:
        with findings.skipping():
            values |= set(np.unique(read_values(mask, {})).tolist())
    left_out = frozenset(ignored & values if values != _BINARY else ignored - _BINARY)
    kept = sorted(values - left_out)
    if len(kept) > _MOST_CLASSES:
        raise InputError(
            f"{len(kept)} values were found in the masks, from {kept[0]} to {kept[-1]}: numbers of objects rather than "
            "classes? Give masks of classes, or name them in classes.txt"
        )
    return ClassMap(tuple(str(value) for value in kept), tuple(kept), left_out)


FORMAT = Format(
    key="masks",
    name="mask folders",
    layout="train/images and train/masks, images/train and masks/train, images and masks, "
    "train and trainannot (CamVid), or JPEGImages, SegmentationClass and ImageSets/Segmentation (Pascal VOC)",
    annotations=("masks",),
    precedence=1,
    recognise=recognise,
    read=read,
    near_miss=near_miss,
    settings=("classes", "ignore_index"),
    write=write_masks,
)
