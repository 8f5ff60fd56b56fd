"""A folder of images for each class, as torchvision's ImageFolder takes it."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from backbones import InputError, nearest
from tasks.config import Annotations, DataSettings
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import DataError, Finding, Findings
from tasks.data.folders.tree import SPLITS, Tree, joined, shown, split_in_words, split_named, stem_of
from tasks.data.formats.format import Format
from tasks.data.formats.mask_pairs import find_pairs
from tasks.data.images import IMAGE_SUFFIXES, whole_images
from tasks.data.labels.samples import LabelledSample, LabelledSamples

_MOST_LISTED = 5
_TWO = 2  # classes, which there must be to tell apart
_SIDECARS = (".json", ".xml", ".txt")
_KEY = "folders"

Classes = Mapping[str, Sequence[str]]  # class -> its images, as paths from the folder


def recognise(tree: Tree) -> bool:
    return not _doubt(tree)


def near_miss(tree: Tree) -> str | None:
    return _doubt(tree) or None


def _doubt(tree: Tree) -> str:
    """Why these are no class folders; empty where they are."""
    try:
        pairs = list(find_pairs(tree))
    except InputError as error:  # two folders of masks
        return str(error)
    names = {name for classes in _splits(tree).values() for name, images in classes.items() if images}
    words = {split_in_words(name) for name in names}
    if not names:
        return "no folder of images for each class"
    if "train" in words and words & {"val", "test"}:
        listed = ", ".join(sorted(names)[:_MOST_LISTED])
        return f"{listed} are named as splits, not as classes; if they are classes: --data.format {_KEY}"
    if pairs:
        return f"{shown(pairs[0][0])} and {shown(pairs[0][1])} are images and their masks, not two classes"
    if len(names) < _TWO:
        return f"{names.pop()!r} is the only class: there is nothing to tell apart; add a folder for each other class"
    for directory, images in tree.images.items():
        beside = {stem_of(name) for name in tree.named(directory, _SIDECARS)}
        if 2 * len(beside & {stem_of(name) for name in images}) > len(images):
            return (
                f"{shown(directory)} has a file of annotations beside most of its images; if the folders are classes "
                f"all the same: --data.format {_KEY}"
            )
    return ""


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[LabelledSample]:
    """train/cat/1.jpg, train/dog/..., val/cat/..., test/...; or cat/1.jpg, dog/...; perhaps in a folder around them,
    and with folders within those of the classes.

    The classes are the folders' names, in alphabetical order.

    Raises:
        InputError: a class has no image, or val or test has one that train lacks.
    """
    splits = _splits(tree)
    if "train" not in splits:
        raise DataError(Finding("data-unusable", f"{tree.folder}: has {' and '.join(splits)} alone; wanted is train/"))
    classes = tuple(sorted(splits["train"]))
    for name, images in splits["train"].items():
        if not images:
            line = f"{tree.folder}: the folder of the class {name!r} has no image to train on; fill it or remove it"
            findings.add("class-empty", line)
    for split in ("val", "test"):
        if split in splits and not set(classes) & set(splits[split]):
            del splits[split]  # as challenges give their test images; said as any others of no class
    found = {split: _samples(tree, split, splits[split], classes, findings) for split in SPLITS if split in splits}
    _report_strays(tree, splits, list(found), findings)
    return DataSet("class folders", classes, found, tuple(findings.found))


def _samples(tree: Tree, split: str, there: Classes, classes: Sequence[str], findings: Findings) -> LabelledSamples:
    labels: dict[str, int] = {}
    for name, images in there.items():
        if name in classes:
            labels |= dict.fromkeys(images, classes.index(name))
        elif images:
            line = (
                f"{tree.folder / images[0]}: the class {name!r} of {split} does not occur in train"
                f"{nearest(name, classes)} (train has {', '.join(classes)})"
            )
            findings.add("class-unknown", line, image=tree.folder / images[0])
    names = whole_images(tree.folder, sorted(labels), findings)
    return LabelledSamples(names, tree.folder, np.array([labels[name] for name in names], np.int64))


def _report_strays(tree: Tree, splits: Mapping[str, Classes], found: Sequence[str], findings: Findings) -> None:
    """Images that are in no folder of a class: nobody knows what they are of."""
    used = {image for classes in splits.values() for images in classes.values() for image in images}
    for directory, names in tree.images.items():
        strays = [name for name in names if joined(directory, name) not in used]
        if strays:
            first = tree.folder / directory / strays[0]
            where = f"{len(strays)} images in {shown(directory)}"
            line = f"{first}: is in no class of a split ({', '.join(found)}), as {where}"
            findings.add("image-unlabelled", line, image=first)


def _splits(tree: Tree) -> dict[str, Classes]:
    """The classes of each split that there is; of train where the folders name none."""
    base = _unwrapped(tree, ".")
    places = {} if tree.one_split else _places(tree, base)
    if not places:
        return {"train": _classes(tree, base)}
    inner = {split: _unwrapped(tree, place) for split, place in places.items()}
    known = set(_classes(tree, inner["train"])) if "train" in inner else set()
    for split, place in places.items():
        if known & set(_classes(tree, place)):  # the one folder that there is in it is a class
            inner[split] = place
    return {split: found for split, place in inner.items() if (found := _classes(tree, place))}


def _places(tree: Tree, base: str) -> dict[str, str]:
    """The folder of each split: by its name alone, or by a word in it (seg_train); empty where these are classes."""
    children = _children(tree, base)
    for named in (split_named, split_in_words):
        of_splits = [child for child in children if named(child)]
        found = {str(named(child)): joined(base, child) for child in of_splits}
        if not found or len(found) < len(of_splits) or (named is split_in_words and len(found) == 1):
            continue  # several folders with a word of one split are no splits, nor is one alone
        if ("train" in found or len(found) == len(children)) and _children(
            tree, found.get("train", min(found.values()))
        ):
            return found
    return {}


def _unwrapped(tree: Tree, directory: str) -> str:
    """The directory, or the one in it that everything else is in."""
    while directory not in tree.images:
        with_images = {child for child, _ in _below(tree.images, directory)}
        with_files = {child for child, place in _below(tree.files, directory) if tree.files[place]}
        # An empty one may be a class; one with other files is none.
        below = [child for child in _children(tree, directory) if child in with_images or child not in with_files]
        if len(below) != 1 or split_named(below[0]) or not _children(tree, joined(directory, below[0])):
            break
        directory = joined(directory, below[0])
    return directory


def _classes(tree: Tree, directory: str) -> Classes:
    """By name, accents written in one way: systems differ in that."""
    found: dict[str, list[str]] = {_name(child): [] for child in _children(tree, directory)}
    for child, place in _below(tree.images, directory):
        found[_name(child)] += [joined(place, image) for image in tree.images[place]]
    return found


def _name(child: str) -> str:
    return unicodedata.normalize("NFC", child)


def _children(tree: Tree, directory: str) -> list[str]:
    """The names of the directories in one."""
    return sorted({child for child, _ in _below(tree.files, directory)})


def _below(places: Iterable[str], directory: str) -> Iterator[tuple[str, str]]:
    """Those of the directories that are below one, each with the name of the child that it is in, or is."""
    prefix = "" if directory == "." else f"{directory}/"
    for place in places:
        if place.startswith(prefix) and place != ".":
            yield place.removeprefix(prefix).partition("/")[0], place


FORMAT = Format(
    key=_KEY,
    name="class folders",
    layout="train/cat, train/dog, val/cat, val/dog, or cat and dog alone",
    annotations=("labels",),
    precedence=22,
    recognise=recognise,
    read=read,
    near_miss=near_miss,
    suffixes=tuple(sorted(IMAGE_SUFFIXES)),
    alphabetical=True,
)
