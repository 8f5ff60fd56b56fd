"""Where the annotation files and the images of a COCO data set lie."""

import mmap
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from backbones import InputError
from tasks.data.folders.image_names import ImageNames
from tasks.data.folders.tree import SPLITS, Tree
from tasks.data.formats.coco_json import CocoImage

_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_OBJECTS = "instances_"  # before the names of COCO's own files of objects, beside those of captions and key points
_EXPORT = "_annotations.coco.json"
_TRIED = 20  # images, to find their folder; files, to see what they lack
_BEGINNING = 64  # bytes, the first of which says what a file holds
_LOOKED_AT = 4096


def find_files(tree: Tree) -> dict[str, str]:
    """The annotation file of each split, as a path from the folder.

    Raises:
        InputError: there are several of a split.
    """
    found = [path for path in tree.paths((".json",)) if _is_named(path) or _has_keys(tree.folder / path)]
    if objects := [path for path in found if path.rpartition("/")[2].startswith(_OBJECTS)]:
        found = objects
    splits: dict[str, list[str]] = {}
    for path in found:
        splits.setdefault(tree.split_of_file(path) or "", []).append(path)
    unnamed = splits.pop("", [])
    if len(unnamed) > 1:
        names = " and ".join(unnamed)
        raise InputError(f"{tree.folder}: {names}: which is train? Call them train.json, val.json and test.json")
    if unnamed and "train" not in splits:
        splits["train"] = unnamed
    for split, paths in splits.items():
        if len(paths) > 1:
            names = " and ".join(paths)
            raise InputError(f"{tree.folder}: {names} both look like the {split} split; keep one")
    return {split: splits[split][0] for split in SPLITS if split in splits}


def _is_named(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name == _EXPORT or (name.startswith(_OBJECTS) and path.startswith("annotations/"))


def _has_keys(file: Path) -> bool:
    return len(_keys(file)) == len(_KEYS)


def _keys(file: Path) -> list[bytes]:
    """Those of a COCO file that a JSON object has somewhere."""
    try:
        with file.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if not content[:_BEGINNING].lstrip().startswith(b"{"):
                return []
            return [key for key in _KEYS if content.find(key) >= 0]
    except (OSError, ValueError):  # an empty file cannot be mapped
        return []


def near_miss(tree: Tree) -> str | None:
    """The first of a few JSON files that is a COCO file but for a part, or a list of detections."""
    for path in tree.files_that((".json",), lambda file: True)[:_TRIED]:
        there = _keys(tree.folder / path)
        if len(there) == len(_KEYS) - 1:
            (missing,) = set(_KEYS) - set(there)
            return f"{path} looks like COCO, but has no {missing.decode()}"
        if _is_results(tree.folder / path):
            return f"{path} is a list of detections, COCO's form for results; wanted is the file of annotations"
    return None


def _is_results(file: Path) -> bool:
    try:
        with file.open("rb") as raw:
            start = raw.read(_LOOKED_AT)
    except OSError:
        return False
    return start.lstrip().startswith(b"[") and b'"image_id"' in start and b'"score"' in start


def locate(tree: Tree, file: Path, images: Sequence[CocoImage], allow_outside: bool) -> tuple[Path, list[CocoImage]]:
    """The folder of a file's images, and the images with names from there on.

    A file name may have folders before it, backslashes, percent-encoding, or be a URL: its last parts are looked for.

    Raises:
        InputError: none of the images is there, or one is elsewhere.
    """
    root = _image_folder(tree, file, _names(images[:_TRIED]))
    base = "" if root is None or root == tree.folder else f"{root.relative_to(tree.folder).as_posix()}/"
    there = _there(tree, base)
    if root is not None and all(image.file_name in there for image in images):
        return root, list(images)
    by_name, place = ImageNames(tree, allow_outside), file.relative_to(tree.folder).as_posix()
    names = [base + name if name in there else by_name.find(name, place) for name in _names(images)]
    if root is None and not any(names):
        raise InputError(
            f"{tree.folder}: no folder of images for {file.name}: found {tree.counts()}, but none of its names, the "
            f"first is {images[0].file_name!r}"
        )
    found = [name or base + image.file_name for name, image in zip(names, images, strict=True)]
    if root is not None and all(name.startswith(base) for name in found):
        return root, [_renamed(image, name[len(base) :]) for name, image in zip(found, images, strict=True)]
    return tree.folder, [_renamed(image, name) for name, image in zip(found, images, strict=True)]


def _names(images: Sequence[CocoImage]) -> list[str]:
    return [image.file_name for image in images]


def _renamed(image: CocoImage, name: str) -> CocoImage:
    return msgspec.structs.replace(image, file_name=name)


def _there(tree: Tree, base: str) -> set[str]:
    """The images below a folder, as paths from it."""
    found: set[str] = set()
    for directory, names in tree.images.items():
        prefix = "" if directory == "." else f"{directory}/"
        if prefix.startswith(base):
            found.update(f"{prefix[len(base) :]}{name}" for name in names)
    return found


def _image_folder(tree: Tree, file: Path, examples: Sequence[str]) -> Path | None:
    """The first of the usual folders in which one of the images lies."""
    name = file.stem.removeprefix(_OBJECTS)
    words = SPLITS.get(tree.split_of_file(file.relative_to(tree.folder).as_posix()) or "", ())
    names = dict.fromkeys([name, *words])
    places = [place / name for name in names for place in (tree.folder, tree.folder / "images", file.parent)]
    places += [tree.folder / "images", file.parent, file.parent.parent, tree.folder]
    for place in dict.fromkeys(place for place in places if place.is_relative_to(tree.folder)):
        if any(os.path.isfile(place / example) for example in examples):  # which takes names that are too long
            return place
    return None
