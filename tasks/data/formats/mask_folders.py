"""Folders of images with folders of masks beside them, in the common layouts."""

from collections.abc import Sequence
from itertools import combinations, islice
from pathlib import Path

from backbones import InputError
from tasks.config import Annotations, DataSettings, SegmentationData
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings
from tasks.data.folders.texts import read_lines
from tasks.data.folders.tree import SPLITS, LayoutError, Tree, joined, shown, stem_of
from tasks.data.formats.format import Format
from tasks.data.formats.mask_pairs import by_split, empty_masks, find_pairs, of_one_folder, paired
from tasks.data.formats.mask_writing import write_masks
from tasks.data.images import read_image_size
from tasks.data.masks.class_maps import class_map
from tasks.data.masks.mask_files import MaskFile, MaskReading, read_values
from tasks.data.masks.samples import MaskedSample, MaskedSamples

_VOC_LISTS, _VOC_IMAGES, _VOC_MASKS = "ImageSets/Segmentation", "JPEGImages", "SegmentationClass"
_COMPARED = 20  # folders, to say what is missing

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
    classes, named_by = class_map(folder / "classes.txt", masks, settings, findings)
    return DataSet(
        layout=f"mask folders ({named_by})",
        classes=classes.names,
        splits={
            split: MaskedSamples.of([MaskedSample(image.name, image, MaskFile(mask, classes)) for image, mask in pairs])
            for split, pairs in splits.items()
        },
        findings=tuple(findings.found),
    )


def _find_splits(tree: Tree, findings: Findings) -> dict[str, list[Pair]]:
    if _VOC_LISTS in tree.files:
        lists = {split: f"{_VOC_LISTS}/{split}.txt" for split in SPLITS}
        chosen = {split: _listed(tree, file, findings) for split, file in lists.items() if tree.has(file)}
        for split, pairs_there in chosen.items():
            if not pairs_there:
                findings.add("split-missing", f"{tree.folder / lists[split]}: names no image")
        return chosen
    found = find_pairs(tree)
    pairs: dict[str, list[tuple[str, str]]] = {}
    for (images_in, masks_in), masks_there in found.items():
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


def _listed(tree: Tree, file: str, findings: Findings) -> list[Pair]:
    images, masks = (_by_stem(tree, place) for place in (_VOC_IMAGES, _VOC_MASKS))
    names = dict.fromkeys(
        line if line in images else line.split()[0] for line in read_lines(tree.folder / file) if line
    )
    found: list[Pair] = []
    for name in sorted(names):
        image, mask = images.get(name), masks.get(name)
        if image is not None and mask is not None:
            found.append((tree.folder / _VOC_IMAGES / image, tree.folder / _VOC_MASKS / mask))
            continue
        kind, place = ("image", _VOC_IMAGES) if image is None else ("mask", _VOC_MASKS)
        line = f"{tree.folder / place / name}: the {kind} is missing, but {tree.folder / file} names it"
        findings.add(f"{kind}-missing", line, image=tree.folder / _VOC_IMAGES / (image or f"{name}.jpg"))
    return found


def _by_stem(tree: Tree, place: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in tree.images.get(place, ()):
        if (other := found.setdefault(stem_of(name), name)) != name:
            raise InputError(f"{tree.folder / place}: {other} and {name}: two files of one name, and which is meant?")
    return found


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
        read_values(mask, MaskReading())  # which says so of a mask
        raise


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
    settings=("classes", "ignore_index", "mask_threshold"),
    write=write_masks,
)
