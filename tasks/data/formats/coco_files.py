"""Where the annotation files and the images of a COCO data set lie."""

import mmap
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from backbones import InputError
from tasks.data.formats.coco_json import CocoImage
from tasks.data.formats.tree import SPLITS, Tree, stem_of

_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_OBJECTS = "instances_"  # before the names of COCO's own files of objects, beside those of captions and key points
_EXPORT = "_annotations.coco.json"
_TRIED = 20  # images, to find their folder


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
        splits.setdefault(_split_of(tree, path) or "", []).append(path)
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
    try:
        with file.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content[:64].lstrip().startswith(b"{") and all(content.find(key) >= 0 for key in _KEYS)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def _split_of(tree: Tree, path: str) -> str | None:
    """By the words of its name, else by its folder."""
    if tree.one_split:
        return None
    words = re.findall("[a-z]+", stem_of(path).lower())
    named = [split for split, names in SPLITS.items() if set(names) & set(words)]
    return named[0] if named else tree.split_of(path.rpartition("/")[0])


def locate(tree: Tree, file: Path, images: Sequence[CocoImage]) -> tuple[Path, list[CocoImage]]:
    """The folder of a file's images, and the images with names from there on.

    A file name may have folders before it, backslashes, percent-encoding, or be a URL: its last parts are looked for.

    Raises:
        InputError: none of the images is there.
    """
    root = _image_folder(tree, file, _names(images[:_TRIED]))
    base = "" if root is None or root == tree.folder else f"{root.relative_to(tree.folder).as_posix()}/"
    there = _there(tree, base)
    if root is not None and all(image.file_name in there for image in images):
        return root, list(images)
    by_name: dict[str, list[str]] = {}
    for path in _there(tree, ""):
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    names = [base + name if name in there else _path_of(name, by_name, file, tree) for name in _names(images)]
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


def _path_of(name: str, by_name: Mapping[str, Sequence[str]], file: Path, tree: Tree) -> str | None:
    """The file that an annotated name stands for: the one that shares the most of its last parts."""
    for text in dict.fromkeys((name, unquote(name), unquote(urlsplit(name).path))):
        parts = text.replace("\\", "/").split("/")
        candidates = by_name.get(parts[-1], ())
        if len(candidates) > 1:
            shared = [_common_end(parts, path.split("/")) for path in candidates]
            candidates = [path for path, count in zip(candidates, shared, strict=True) if count == max(shared)]
        if len(candidates) > 1:
            split = _split_of(tree, file.relative_to(tree.folder).as_posix())
            candidates = [path for path in candidates if tree.split_of(path) == split]
        if len(candidates) == 1:
            return candidates[0]
    return None


def _common_end(first: Sequence[str], second: Sequence[str]) -> int:
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def _image_folder(tree: Tree, file: Path, examples: Sequence[str]) -> Path | None:
    """The first of the usual folders in which one of the images lies."""
    name = file.stem.removeprefix(_OBJECTS)
    words = SPLITS.get(_split_of(tree, file.relative_to(tree.folder).as_posix()) or "", ())
    names = dict.fromkeys([name, *words])
    places = [place / name for name in names for place in (tree.folder, tree.folder / "images", file.parent)]
    places += [tree.folder / "images", file.parent, file.parent.parent, tree.folder]
    for place in dict.fromkeys(place for place in places if place.is_relative_to(tree.folder)):
        if any(os.path.isfile(place / example) for example in examples):  # which takes names that are too long
            return place
    return None
