"""Which mask belongs to which image, by the names of folders and files."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import takewhile
from pathlib import PurePosixPath

from backbones import InputError
from tasks.data.folders.tree import SPLITS, Tree, joined, shown, stem_of, suffix_of
from tasks.data.images import IMAGE_SUFFIXES

Pair = tuple[str, str]

# What folders of each kind are called, in the singular and without what stands between words.
_IMAGES = frozenset({"image", "img", "jpegimage", "photo", "original", "raw", "input", "rgb", "frame"})
_CLASSES = frozenset({"mask", "label", "labelid", "annotation", "annot", "gt", "groundtruth", "target", "semantic"})
_CLASSES |= {"segmentation", "seg", "segmentationclass", "manual", "1stmanual"}
_OBJECTS = frozenset({"instance", "segmentationobject", "instancemask"})
_OTHER_FORMATS = (".json", ".txt", ".xml")
_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")
_LEAST_SHARE = 0.4  # of the files of a folder of both, that are masks


def _word(name: str) -> str:
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    return word.removesuffix("s") if len(word) > 2 else word


def _without_kind(directory: str, words: Collection[str]) -> str | None:
    """The path of a folder without the part that says what it holds, or None where none says it."""
    parts = [part for part in PurePosixPath(directory).parts if part != "."]
    for number in reversed(range(len(parts))):
        if _word(parts[number]) in words:
            return "/".join(parts[:number] + parts[number + 1 :])
        for split in (name for names in SPLITS.values() for name in names):  # trainannot, train_labels
            rest = parts[number].lower().removeprefix(split)
            if rest != parts[number].lower() and _word(rest) in words:
                return "/".join([*parts[:number], parts[number][: len(split)], *parts[number + 1 :]])
    return None


def find_pairs(tree: Tree, *, objects: bool = False) -> dict[tuple[str, str], list[str]]:
    """The folders of masks of classes, or of objects, with the folder of their images.

    Returns:
        (folder of images, folder of masks) -> the masks' names.

    Raises:
        InputError: two folders hold masks of the same images.
    """
    if tree.images_in is not None and tree.annotations_in is not None:
        return _given(tree, tree.images_in, tree.annotations_in)
    images = _image_folders(tree)
    masks: dict[str, list[str]] = {}
    for directory in tree.images:
        if (key := _without_kind(directory, _OBJECTS if objects else _CLASSES)) is not None:
            masks.setdefault(key, []).append(directory)
    found: dict[tuple[str, str], list[str]] = {}
    for key, places in masks.items():
        if key not in images:
            continue
        if len(places) > 1:
            names = " and ".join(shown(place) for place in places)
            raise InputError(f"{tree.folder}: {names} both hold masks of {shown(images[key])}; keep one")
        found[images[key], places[0]] = list(tree.images[places[0]])
    return found


def _image_folders(tree: Tree) -> dict[str, str]:
    """The folders of images by their paths without the word that says what they hold; those with one come first."""
    images: dict[str, str] = {}
    for directory in tree.images:
        if _without_kind(directory, _CLASSES | _OBJECTS) is None:
            named = _without_kind(directory, _IMAGES)
            key = directory if named is None else named
            if named is not None or key not in images:
                images["" if key == "." else key] = directory
    return images


def empty_masks(tree: Tree) -> list[str]:
    """Folders called as those of masks are, beside one of images, that hold neither images nor annotations of another
    format."""
    images = _image_folders(tree)
    return [
        place
        for place in tree.files
        if _without_kind(place, _CLASSES) in images
        and next(tree.paths((*IMAGE_SUFFIXES, *_OTHER_FORMATS), below=place), None) is None
    ]


def _given(tree: Tree, images_in: str, masks_in: str) -> dict[tuple[str, str], list[str]]:
    """Folders that were named, and those of one name below them."""
    found: dict[tuple[str, str], list[str]] = {}
    for directory, names in tree.images.items():
        if directory == masks_in or directory.startswith(f"{masks_in}/"):
            place = images_in + directory[len(masks_in) :]
            if place in tree.images:
                found[place, directory] = list(names)
    return found


def paired(images: Sequence[str], masks: Sequence[str]) -> tuple[list[Pair], list[str], list[str]]:
    """By the same stem; else by what is left of the stems without what all images, and all masks, have in common.

    Returns:
        The pairs, images without a mask, and masks without an image.

    Raises:
        InputError: two images, or two masks, have one name.
    """
    for names in (images, masks):
        seen: dict[str, str] = {}
        for name in names:
            if (other := seen.setdefault(stem_of(name), name)) != name:
                raise InputError(f"{other} and {name}: two files of one name, and which is meant? Keep one")
    ends = [_affixes([stem_of(name) for name in names]) for names in (images, masks)]

    def cut_image(name: str) -> str:
        return _cut(stem_of(name), ends[0])

    def cut_mask(name: str) -> str:
        return _cut(stem_of(name), ends[1])

    choices = [
        _matched(images, masks, stem_of, stem_of),
        _matched(images, masks, stem_of, cut_mask),
        _matched(images, masks, cut_image, cut_mask),
    ]
    if len(masks) == len(images) == 1:
        first, second = stem_of(images[0]), stem_of(masks[0])
        if first in second or second in first:
            choices.append({images[0]: masks[0]})
    best = max(choices, key=len)
    lonely = [name for name in images if name not in best]
    unused = set(masks) - set(best.values())
    return list(best.items()), lonely, [name for name in masks if name in unused]


def _matched(
    images: Sequence[str], masks: Sequence[str], image_key: Callable[[str], str], mask_key: Callable[[str], str]
) -> dict[str, str]:
    """The mask of each image by keys made of their names; none where two share a key."""
    by_key = {mask_key(mask): mask for mask in masks}
    keys = {image: image_key(image) for image in images}
    if len(by_key) < len(masks) or len(set(keys.values())) < len(keys):
        return {}
    return {image: by_key[key] for image, key in keys.items() if key in by_key}


def _affixes(stems: Sequence[str]) -> tuple[int, int]:
    """How long a beginning and an end all of several stems have in common."""
    if len(stems) < 2:
        return 0, 0
    start, end = _common(stems), _common([stem[::-1] for stem in stems])
    shortest = min(map(len, stems))
    return (start, end) if start + end <= shortest else (0, min(end, shortest))


def _common(texts: Sequence[str]) -> int:
    """How many first letters all of them share."""
    return len(list(takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))))


def _cut(stem: str, ends: tuple[int, int]) -> str:
    return stem[ends[0] : len(stem) - ends[1]]


def of_one_folder(tree: Tree) -> dict[str, list[Pair]]:
    """Folders that hold images and masks side by side: a.jpg with a_mask.png, or with a.png."""
    found: dict[str, list[Pair]] = {}
    for directory, names in tree.images.items():
        stems: dict[str, list[str]] = {}
        for name in names:
            stems.setdefault(stem_of(name), []).append(name)
        endings = Counter(
            stem[length:]
            for stem in stems
            for length in range(1, len(stem))
            if stem[:length] in stems and not stem[length].isalnum()
        )
        pairs: list[Pair] = []
        if endings and endings.most_common(1)[0][1] >= _LEAST_SHARE * len(names):
            ending = endings.most_common(1)[0][0]
            pairs = [(stems[stem][0], stems[stem + ending][0]) for stem in stems if stem + ending in stems]
        elif len(stems) * 2 == len(names) and all(len(both) == 2 for both in stems.values()):
            for both in stems.values():
                lossy = [name for name in both if suffix_of(name) in _LOSSY]
                if len(lossy) == 1:
                    pairs.append((lossy[0], next(name for name in both if name not in lossy)))
        if pairs:
            found[directory] = pairs
    return found


def by_split(tree: Tree, pairs: Mapping[str, Sequence[Pair]]) -> dict[str, list[Pair]]:
    """Pairs of names in folders of images -> of each split, as paths; what no split names is train."""
    found: dict[str, list[Pair]] = {}
    for directory, files in pairs.items():
        found.setdefault(tree.split_of(directory) or "train", []).extend(
            (joined(directory, image), mask) for image, mask in files
        )
    return {split: found[split] for split in SPLITS if split in found}
