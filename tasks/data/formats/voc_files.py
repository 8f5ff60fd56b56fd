"""Which Pascal VOC annotation belongs to which image, and to which split."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

from backbones import InputError
from tasks.data.findings import Findings
from tasks.data.folders.texts import read_lines
from tasks.data.folders.tree import SPLITS, LayoutError, Tree, joined, stem_of, suffix_of
from tasks.data.images import IMAGE_SUFFIXES

_ROOT = re.compile(rb"<annotation[\s>]")
_LOOKED_INTO = 5  # files of a folder
_LOOKED_AT = 4096  # bytes of a file, to see what it is
_LISTS = ("ImageSets/Main", "ImageSets")
_ALL_BUT_TEST = "trainval"


@dataclass(frozen=True)
class VocPair:
    """An annotation and its image, as paths from the folder; the image where there is one."""

    annotation: str
    image: str | None


def xml_folders(tree: Tree) -> list[str]:
    """The directories with XML files of this kind: the first few of each are looked into, some may be broken."""
    return [
        directory
        for directory in tree.files
        if any(_is_voc(tree.folder / directory / name) for name in tree.named(directory, (".xml",))[:_LOOKED_INTO])
    ]


def _is_voc(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(_LOOKED_AT)
    except OSError:
        return False
    return bool(_ROOT.search(start.replace(b"\0", b"")))  # as UTF-16 has them


def find_pairs(tree: Tree) -> list[VocPair]:
    """Every annotation with its image.

    Raises:
        InputError: not one has an image of its name, or one has two.
    """
    pairs: list[VocPair] = []
    for directory in xml_folders(tree):
        files = tree.named(directory, (".xml",))
        images = _by_stem(tree, _image_folder(tree, directory, {stem_of(name) for name in files}))
        for name in files:
            stem = stem_of(name)
            image = images.get(stem)
            if image is None and len(elsewhere := tree.by_stem.get(stem, ())) == 1:
                image = elsewhere[0]
            pairs.append(VocPair(joined(directory, name), image))
    if not any(pair.image for pair in pairs):
        raise LayoutError(f"{tree.folder}: {_nothing_fits(tree, pairs)}")
    return pairs


def _image_folder(tree: Tree, directory: str, stems: set[str]) -> str | None:
    """The directory whose images have the most of these names, the nearest one of several."""

    def fit(place: str) -> tuple[int, bool, bool, int]:
        shared = len(stems & tree.stems[place])
        same_split = tree.split_of(place) == tree.split_of(directory)
        return shared, place == directory, same_split, _shared(place, directory)

    best = max(tree.images, key=fit, default=None)
    return best if best is not None and fit(best)[0] else None


def _shared(first: str, second: str) -> int:
    """How many folders two paths have in common from the beginning."""
    pairs = zip(PurePosixPath(first).parts, PurePosixPath(second).parts, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def _by_stem(tree: Tree, directory: str | None) -> dict[str, str]:
    images: dict[str, str] = {}
    for name in tree.images[directory] if directory is not None else ():
        path = joined(directory or ".", name)
        if (other := images.setdefault(stem_of(name), path)) != path:
            raise InputError(f"{tree.folder / other} and {name} beside it: which one is annotated? Keep one of a name")
    return images


def _nothing_fits(tree: Tree, pairs: Sequence[VocPair]) -> str:
    text = f"found {tree.counts()}: looks like Pascal VOC, but "
    if not tree.images:
        return f"{text}there are no images; put them beside the annotations"
    names = [name for files in tree.images.values() for name in files]
    first = pairs[0].annotation.rpartition("/")[2]
    near = difflib.get_close_matches(stem_of(first), map(stem_of, names), n=1, cutoff=0)
    image = next(name for name in names if stem_of(name) == near[0]) if near else names[0]
    return f"{text}no file names match: {first!r} and {image!r}; give each image the name of its annotation"


def split_files(tree: Tree, pairs: Sequence[VocPair], findings: Findings) -> dict[str, list[tuple[Path, Path]]]:
    """The annotations and images of each split: of lists of names, else of folders called so, else all is train.

    Raises:
        InputError: there is nothing to train on, or a list cannot be read.
    """
    place = _list_folder(tree, pairs)
    return _of_folders(tree, pairs, findings) if place is None else _of_lists(tree, place, pairs, findings)


def _list_folder(tree: Tree, pairs: Sequence[VocPair]) -> str | None:
    """Where lists of names stand that make the splits."""
    if tree.one_split:
        return None
    for name in _LISTS:
        for directory in tree.files:
            if directory == name or directory.endswith(f"/{name}"):
                return directory
    stems = {stem_of(pair.annotation) for pair in pairs}
    for directory in tree.files:
        lists = [file for files in _lists_in(tree, directory).values() for file in files]
        lines = [line for file in lists for line in _lines(tree.folder / file)]
        if any(_stem_in(line, stems) for line in lines):
            return directory
    return None


def _lists_in(tree: Tree, directory: str) -> dict[str, list[str]]:
    """The lists of each split in a directory."""
    names = {stem_of(name).lower(): joined(directory, name) for name in tree.named(directory, (".txt",))}
    found = {split: [names[word] for word in words if word in names] for split, words in SPLITS.items()}
    if not found["train"] and _ALL_BUT_TEST in names and not found["val"]:
        found["train"] = [names[_ALL_BUT_TEST]]
    return {split: files for split, files in found.items() if files}


def _of_lists(
    tree: Tree, directory: str, pairs: Sequence[VocPair], findings: Findings
) -> dict[str, list[tuple[Path, Path]]]:
    lists = _lists_in(tree, directory)
    if "train" not in lists:
        raise InputError(f"{tree.folder / directory / 'train.txt'}: missing; it names the train images")
    by_stem = {stem_of(pair.annotation): pair for pair in pairs}
    known = by_stem.keys() | tree.by_stem.keys()
    chosen: dict[str, list[tuple[Path, Path]]] = {}
    for split, files in lists.items():
        if len(files) > 1:
            names = " and ".join(files)
            raise InputError(f"{tree.folder}: {names} both list the {split} split; keep one")
        listing = tree.folder / files[0]
        lines = _lines(listing)
        if not lines and split != "train":
            findings.add("split-missing", f"{listing}: names no image")
            continue
        if not lines:
            raise InputError(f"{listing}: names no image")
        chosen[split] = []
        for stem in dict.fromkeys(_stem_in(line, known) or line for line in lines):
            pair = by_stem.get(stem) or _without_annotation(tree, pairs, stem)
            if pair.image is None:
                image = tree.folder / _image_place(pairs) / f"{stem}.jpg"
                findings.add("image-missing", f"{image}: missing, but {listing} names it", image=image)
            else:
                chosen[split].append((tree.folder / pair.annotation, tree.folder / pair.image))
    return chosen


def _without_annotation(tree: Tree, pairs: Sequence[VocPair], stem: str) -> VocPair:
    """Reported as missing when it is read."""
    place = pairs[0].annotation.rpartition("/")[0] or "."
    return VocPair(joined(place, f"{stem}.xml"), next(iter(tree.by_stem.get(stem, ())), None))


def _image_place(pairs: Sequence[VocPair]) -> str:
    return next(pair.image for pair in pairs if pair.image).rpartition("/")[0]


def _of_folders(tree: Tree, pairs: Sequence[VocPair], findings: Findings) -> dict[str, list[tuple[Path, Path]]]:
    found: dict[str, list[tuple[Path, Path]]] = {}
    for pair in pairs:
        if pair.image is None:
            line = f"{tree.folder / pair.annotation}: there is no image of this name"
            findings.add("image-missing", line, image=tree.folder / f"{pair.annotation.removesuffix('.xml')}.jpg")
            continue
        folders = [path.rpartition("/")[0] for path in (pair.annotation, pair.image)]
        split = tree.split_of(folders[0]) or tree.split_of(folders[1]) or "train"
        found.setdefault(split, []).append((tree.folder / pair.annotation, tree.folder / pair.image))
    if "train" not in found:
        raise LayoutError(f"{tree.folder}: {' and '.join(found)} alone; wanted are images to train on, in train/")
    return {split: found[split] for split in SPLITS if split in found}


def _lines(file: Path) -> list[str]:
    return [line for line in read_lines(file) if line]


def _stem_in(line: str, known: Iterable[str]) -> str | None:
    """The name of a line, which may have a path before it, a suffix, or the original challenge's flag behind."""
    without_flag = re.sub(r"\s+-?[01]$", "", line)
    for text in (line, without_flag, without_flag.replace("\\", "/").rpartition("/")[2]):
        if text in known:
            return text
        if suffix_of(text) in IMAGE_SUFFIXES | {".xml"} and stem_of(text) in known:
            return stem_of(text)
    return None
