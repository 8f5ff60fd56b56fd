"""The files below a data folder, looked at once. What systems and editors leave behind is no data."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path

from backbones import InputError
from tasks.data.images import IMAGE_SUFFIXES

_LEFT_BEHIND = {"__macosx", "@eadir", "thumbs.db", "desktop.ini", "$recycle.bin"}
SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


class LayoutError(InputError):
    """What was asked for is not a data set of a known layout, or has not the annotations that are needed."""


def is_left_behind(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or a system's own: no data."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def split_named(name: str) -> str | None:
    """The split of this name."""
    return next((split for split, names in SPLITS.items() if name.lower() in names), None)


def split_in_words(name: str) -> str | None:
    """The split that a name has a word of: train2017, train_images."""
    words = set(re.findall("[a-z]+", name.lower()))
    return next((split for split, names in SPLITS.items() if words & set(names)), None)


@dataclass(frozen=True)
class Tree:
    """A data folder.

    Attributes:
        folder: the folder.
        files: the names of the files in each directory below it, in alphabetical order; directories are written as
            paths from the folder, itself being ".".
        images_in, annotations_in: where these were said to be, as paths from the folder.
        one_split: whether all of it is one split, whatever its folders are called.
    """

    folder: Path
    files: Mapping[str, tuple[str, ...]]
    images_in: str | None = None
    annotations_in: str | None = None
    one_split: bool = False

    @classmethod
    def of(cls, folder: Path) -> "Tree":
        """Links are followed, but not round in circles.

        Raises:
            LayoutError: there is no such folder, or it cannot be read.
        """
        if not folder.is_dir():
            raise LayoutError(f"{folder}: there is no such data folder")
        files: dict[str, tuple[str, ...]] = {}
        try:
            _walk(str(folder), ".", frozenset(), files)
        except OSError as error:
            raise LayoutError(f"{error.filename}: cannot be read: {error.strerror}") from None
        return cls(folder, dict(sorted(files.items())))

    @classmethod
    def of_parts(cls, images: Path, annotations: Path, *, one_split: bool) -> "Tree":
        """The images below a folder, and a folder or a file of annotations, wherever it lies.

        Raises:
            LayoutError: one of them is not there.
        """
        if not annotations.exists():
            raise LayoutError(f"{annotations}: there are no such annotations")
        base = Path(os.path.commonpath([os.path.abspath(images), os.path.abspath(annotations)]))
        base = base if base.is_dir() else base.parent
        files: dict[str, set[str]] = {}
        places = []
        for place, suffixes in ((images, IMAGE_SUFFIXES), (annotations, None)):
            start = Path(os.path.relpath(os.path.abspath(place), base)).as_posix()
            places.append(start)
            if place.is_file():
                files.setdefault(start.rpartition("/")[0] or ".", set()).add(place.name)
                continue
            for directory, names in cls.of(place).files.items():
                here = start if directory == "." else directory if start == "." else f"{start}/{directory}"
                wanted = {name for name in names if suffixes is None or suffix_of(name) in suffixes}
                files.setdefault(here, set()).update(wanted)
        listed = {directory: tuple(sorted(names)) for directory, names in sorted(files.items())}
        return cls(base, listed, places[0], places[1], one_split)

    def split_of(self, path: str) -> str | None:
        """The split that a folder on a path names, the last one that does; None if all is one.

        Of folders that only have a word of a split (train2017, train_images), where there is one of train.
        """
        if self.one_split:
            return None
        for named in (split_named, split_in_words) if self._has_train_in_words else (split_named,):
            for part in reversed(path.split("/")):
                if split := named(part):
                    return split
        return None

    @cached_property
    def _has_train_in_words(self) -> bool:
        parts = {part for directory in self.files for part in directory.split("/")}
        found = {split_in_words(part) for part in parts if split_named(part) is None}
        return {"train", "val"} <= found or {"train", "test"} <= found

    def split_of_file(self, path: str) -> str | None:
        """The split that a file's name has a word of (train_labels.csv), else its folder names; None if all is one."""
        if self.one_split:
            return None
        return split_in_words(stem_of(path)) or self.split_of(path.rpartition("/")[0])

    def split_of_image(self, image: str, file: str, said: str | None = None) -> str:
        """The split that is said of an image, else that of its annotations' file, else that of its folder, else train.

        Args:
            image, file: as paths from the folder.
        """
        if self.one_split:
            return "train"
        return said or self.split_of_file(file) or self.split_of(image.rpartition("/")[0]) or "train"

    def check_splits(self) -> None:
        """Raises:
        LayoutError: two folders beside each other are names of one split.
        """
        if self.one_split:
            return
        found: dict[tuple[str, str], str] = {}
        for directory in (place for place, names in self.files.items() if names):
            parts = directory.split("/")
            for number, part in enumerate(parts):
                split = split_named(part)
                if split is None:
                    continue
                place = "/".join(parts[:number])
                if (other := found.setdefault((place, split), part)) != part:
                    raise LayoutError(
                        f"{self.folder / place}: {other}/ and {part}/ are both the {split} split; keep one"
                    )

    @cached_property
    def _by_suffix(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """suffix -> directory -> names."""
        found: dict[str, dict[str, list[str]]] = {}
        for directory, names in self.files.items():
            for name in names:
                found.setdefault(suffix_of(name), {}).setdefault(directory, []).append(name)
        return {suffix: {place: tuple(names) for place, names in places.items()} for suffix, places in found.items()}

    def paths(self, suffixes: Iterable[str], below: str = ".") -> Iterator[str]:
        """Files with one of these suffixes, in lower case, as paths from the folder."""
        found = [self._by_suffix.get(suffix, {}) for suffix in suffixes]
        for directory in sorted({place for places in found for place in places}):
            if below in (".", directory) or directory.startswith(f"{below}/"):
                for name in sorted(name for places in found for name in places.get(directory, ())):
                    yield joined(directory, name)

    def named(self, directory: str, suffixes: Iterable[str]) -> list[str]:
        """The names of a directory's files with one of these suffixes."""
        return sorted(name for suffix in suffixes for name in self._by_suffix.get(suffix, {}).get(directory, ()))

    def files_that(self, suffixes: Iterable[str], are: Callable[[Path], bool]) -> list[str]:
        """The files with one of these suffixes, as paths from the folder, in directories where `are` holds for one of
        the first few."""
        found = []
        for directory in self.files:
            names = self.named(directory, suffixes)
            if any(are(self.folder / directory / name) for name in names[:_LOOKED_INTO]):
                found += [joined(directory, name) for name in names]
        return found

    @cached_property
    def images(self) -> Mapping[str, tuple[str, ...]]:
        """The images in each directory that has some."""
        found = {directory: tuple(self.named(directory, IMAGE_SUFFIXES)) for directory in self.files}
        return {directory: names for directory, names in found.items() if names}

    @cached_property
    def stems(self) -> Mapping[str, frozenset[str]]:
        """The stems of the images in each directory that has some."""
        return {directory: frozenset(map(stem_of, names)) for directory, names in self.images.items()}

    @cached_property
    def by_stem(self) -> Mapping[str, tuple[str, ...]]:
        """The images of each stem, wherever they are, as paths from the folder."""
        found: dict[str, list[str]] = {}
        for directory, names in self.images.items():
            for name in names:
                found.setdefault(stem_of(name), []).append(joined(directory, name))
        return {stem: tuple(paths) for stem, paths in found.items()}

    def has(self, path: str) -> bool:
        directory, _, name = path.rpartition("/")
        return name in self.files.get(directory or ".", ())

    def counts(self) -> str:
        """What is there, for messages: "164 .xml in annots/, 164 .jpg in images/"."""
        found: list[tuple[int, str]] = []
        for directory, names in self.files.items():
            by_suffix: dict[str, int] = {}
            for name in names:
                by_suffix[suffix_of(name) or name] = by_suffix.get(suffix_of(name) or name, 0) + 1
            found += [(count, f"{count} {suffix} in {shown(directory)}") for suffix, count in by_suffix.items()]
        most = sorted(found, key=lambda item: -item[0])[:_MOST_COUNTED]
        rest = len(found) - len(most)
        return ", ".join(text for _, text in most) + (f" and {rest} more kinds" if rest > 0 else "")


_MOST_COUNTED = 6
_NAME = attrgetter("name")
_LOOKED_INTO = 50  # files of a directory: some may be broken, or others


def _walk(path: str, name: str, above: frozenset[tuple[int, int]], files: dict[str, tuple[str, ...]]) -> None:
    status = os.stat(path)
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    names = []
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=_NAME):
            if is_left_behind(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False) or (_may_be_a_folder(entry) and entry.is_dir()):
                _walk(entry.path, entry.name if name == "." else f"{name}/{entry.name}", above | {here}, files)
            else:
                names.append(entry.name)
    files[name] = tuple(names)


def _may_be_a_folder(entry: os.DirEntry[str]) -> bool:
    """Whether a look at what it links to is worth it: a folder of linked images has many."""
    return entry.is_symlink() and suffix_of(entry.name) not in IMAGE_SUFFIXES


def suffix_of(name: str) -> str:
    """In lower case, with its dot; empty where there is none."""
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem else ""


def stem_of(name: str) -> str:
    """Without its folder and its suffix."""
    name = name.rpartition("/")[2]
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def joined(directory: str, name: str) -> str:
    return name if directory == "." else f"{directory}/{name}"


def shown(directory: str) -> str:
    """A directory as messages call it."""
    return "the folder itself" if directory == "." else f"{directory}/"
