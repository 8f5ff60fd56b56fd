"""What a YOLO data set says of itself: a YAML file, darknet's obj.data, or a list of classes alone."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from backbones import InputError
from tasks.data.findings import Findings
from tasks.data.folders.texts import read_lines, read_text
from tasks.data.folders.tree import SPLITS, LayoutError, Tree, stem_of, suffix_of
from tasks.data.images import IMAGE_SUFFIXES

_USUAL = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_CLASS_LISTS = ("classes.txt", "obj.names", "classes.names", "predefined_classes.txt")
_NAMES = re.compile(rb"^\W*['\"]?names['\"]?\s*:", re.MULTILINE)
_IMAGES = re.compile(rb"['\"]?\b(train|val|valid)['\"]?\s*:")
_LABEL = re.compile(rb"\s*\d+(\s+-?[\d.]+(e-?\d+)?){4,}\s*$", re.IGNORECASE)
_LOOKED_AT = 65536
_NOTHING = ("", "~", "null", "Null", "NULL")  # as YAML writes it


@dataclass(frozen=True)
class YoloDescription:
    """Attributes:
    file: that says it.
    classes: the names.
    images: of each split.
    lists: names of text files that are no labels.
    oriented: whether boxes have four corners.
    """

    file: Path
    classes: tuple[str, ...]
    images: Mapping[str, tuple[Path, ...]]
    lists: frozenset[str]
    oriented: bool = False


def find_description(tree: Tree) -> str | None:
    """The file, as a path from the folder: the one of a usual name, or the only one that looks like it.

    Raises:
        InputError: several do.
    """
    for name in _USUAL:
        if tree.has(name):
            return name
    near = [path for path in tree.paths((".yaml", ".yml", ".data")) if path.count("/") < 2]
    found = [path for path in near if _looks_like_it(tree.folder / path)]
    if len(found) > 1:
        raise InputError(f"{tree.folder}: {' and '.join(found)} both describe a YOLO data set; keep one")
    return found[0] if found else _class_list(tree)


def _looks_like_it(file: Path) -> bool:
    try:
        with file.open("rb") as raw:
            start = raw.read(_LOOKED_AT)
    except OSError:
        return False
    if file.suffix == ".data":  # darknet's
        return b"names" in start and b"train" in start and b"=" in start
    return bool(_NAMES.search(start) and _IMAGES.search(start))


def _class_list(tree: Tree) -> str | None:
    """A list of classes in a folder whose text files are labels of its images."""
    for directory, names in tree.files.items():
        for name in _CLASS_LISTS:
            if name in names and has_labels(tree):
                return name if directory == "." else f"{directory}/{name}"
    return None


def has_labels(tree: Tree) -> bool:
    """Whether the first text file that has the name of an image is one of labels."""
    for path in tree.paths((".txt",)):
        if path.rpartition("/")[2] not in _CLASS_LISTS and stem_of(path) in tree.by_stem:
            lines = (tree.folder / path).read_bytes()[:_LOOKED_AT].splitlines()
            if lines:
                return bool(_LABEL.match(lines[0]))
    return False


def read_description(tree: Tree, name: str, findings: Findings) -> YoloDescription:
    """What the file says, its folders and lists of images looked up.

    Raises:
        InputError: it cannot be read, names no classes or no training images, or describes key points.
    """
    file = tree.folder / name
    if suffix_of(name) in (".yaml", ".yml"):
        return _of_yaml(tree, file, findings)
    if suffix_of(name) == ".data":
        return _of_darknet(tree, file, findings)
    return _of_folders(tree, file)


def _of_yaml(tree: Tree, file: Path, findings: Findings) -> YoloDescription:
    content = _read_yaml(file)
    if "kpt_shape" in content or content.get("task") == "pose":
        raise LayoutError(f"{file}: describes key points, which no head here learns; export the boxes alone")
    classes = _names(file, content)
    roots = [tree.folder / str(content.get("path") or ""), file.parent, tree.folder]
    images, lists = _splits(tree, file, roots, content, findings)
    return YoloDescription(file, classes, images, lists, content.get("task") == "obb")


def _of_darknet(tree: Tree, file: Path, findings: Findings) -> YoloDescription:
    pairs = [line.partition("=") for line in read_lines(file) if "=" in line]
    content: dict[str, Any] = {key.strip(): value.strip() for key, _, value in pairs}
    roots = [file.parent, tree.folder, tree.folder.parent]
    names = _found(str(content.get("names", "")), roots, tree.folder)
    if names is None or not names.is_file():
        raise InputError(f"{file}: names {content.get('names')!r} is no file of classes")
    images, lists = _splits(tree, file, roots, content, findings)
    return YoloDescription(file, _lines(names), images, lists | {names.name})


def _of_folders(tree: Tree, file: Path) -> YoloDescription:
    images: dict[str, list[Path]] = {}
    for directory, names in tree.images.items():
        place = images.setdefault(tree.split_of(directory) or "train", [])
        place += [tree.folder / directory / name for name in names]
    if "train" not in images:
        raise LayoutError(f"{tree.folder}: {' and '.join(images)} alone; wanted are images to train on, in train/")
    ordered = {split: tuple(images[split]) for split in SPLITS if split in images}
    return YoloDescription(file, _lines(file), ordered, frozenset(_CLASS_LISTS))


def _splits(
    tree: Tree, file: Path, roots: list[Path], content: Mapping[str, Any], findings: Findings
) -> tuple[dict[str, tuple[Path, ...]], frozenset[str]]:
    found: dict[str, tuple[Path, ...]] = {}
    lists = set(_CLASS_LISTS)
    for split, keys in SPLITS.items():
        given = [key for key in keys if content.get(key)]
        if len(given) > 1:
            raise InputError(f"{file}: {' and '.join(given)} both name the {split} split; keep one")
        if not given:
            continue
        entries = content[given[0]]
        listed = [str(entry) for entry in (entries if isinstance(entries, list) else [entries])]
        places = {entry: _found(entry, roots, tree.folder) for entry in listed}
        missing = [entry for entry, place in places.items() if place is None]
        if missing and split == "train":
            raise InputError(
                f"{file}: {missing[0]!r} is neither a folder of images nor a list of them (looked in {roots[0]})"
            )
        rest = "a share of train is taken" if split == "val" else "there is no test split"
        if missing:
            findings.add("split-missing", f"{file}: {split} is {missing[0]!r}, which is not there: {rest}")
            continue
        lists |= {PurePosixPath(entry).name for entry in listed}
        images = {path for place in places.values() if place is not None for path in _images(place, roots, tree.folder)}
        if not images and split != "train":
            findings.add("split-missing", f"{file}: {split} is {entries!r}, which holds no images: {rest}")
            continue
        if not images:
            raise InputError(f"{file}: {entries!r} holds no images")
        found[split] = tuple(sorted(images))
    if "train" not in found:
        raise InputError(f"{file}: names no train images")
    return found, frozenset(lists)


def _found(entry: str, roots: Iterable[Path], folder: Path) -> Path | None:
    """What an entry names. `path`, and entries, are often those of the machine where the file was written, and exports
    write ../train/images for a folder beside the file: the last parts of them are looked for too."""
    parts = [part for part in PurePosixPath(entry.replace("\\", "/")).parts if part not in ("..", ".", "/")]
    tried = [root / entry for root in roots]
    tried += [folder.joinpath(*parts[first:]) for first in range(len(parts))]
    return next((path for path in tried if entry and path.exists()), None)


def _images(place: Path, roots: list[Path], folder: Path) -> list[Path]:
    """Of a folder, or of a list of images."""
    if place.is_dir():
        inside = Tree.of(place)
        found = [place / path for path in inside.paths(IMAGE_SUFFIXES)]
    else:
        found = []
        for line in _lines(place):
            root = place.parent if line.startswith(".") else roots[0]
            path = root / line
            found.append(path if path.exists() else _found(line, [root], folder) or path)
    # Not resolved: the labels of a link lie beside the link, not beside what it leads to.
    return [Path(os.path.abspath(path)) for path in found]


def _lines(file: Path) -> tuple[str, ...]:
    return tuple(line for line in read_lines(file) if line)


def _read_yaml(file: Path) -> dict[str, Any]:
    """With all scalars as text: YAML takes the class yes for True, and 010 for 8."""
    try:
        content = yaml.load(read_text(file), yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{file}: not readable YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: wanted are 'names:', 'train:' and 'val:'")
    return {key: value for key, value in content.items() if value not in _NOTHING}


def _names(file: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    names = content.get("names")
    if isinstance(names, dict):
        numbers = {str(number) for number in range(len(names))}
        if set(names) != numbers:
            raise InputError(f"{file}: names has the numbers {', '.join(names)}; wanted are 0, 1, ...")
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise InputError(f"{file}: has no names, a list of the classes")
    if any(not isinstance(name, str) or not name for name in names):
        raise InputError(f"{file}: names has an entry that is no name")
    if len(set(names)) < len(names):
        raise InputError(f"{file}: two classes share a name")
    return tuple(names)
