"""Which image an annotation means by a name: people move their images, and tools write paths of other machines."""

import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tasks.data.findings import DataError, Finding
from tasks.data.folders.tree import Tree, joined, suffix_of
from tasks.data.images import IMAGE_SUFFIXES

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # before the names of files that were uploaded to Label Studio
_LOCAL_FILE = "d"  # the parameter of its URLs that holds the path
_MASK = re.compile("mask|label|annot", re.IGNORECASE)  # in names of folders whose files may be called as the images


class ImageNames:
    """Finds the images of a folder by the names that annotations give them.

    Args:
        allow_outside: a name may lead out of the folder.
    """

    def __init__(self, tree: Tree, allow_outside: bool = False) -> None:
        self._tree = tree
        self._allow_outside = allow_outside
        self._meant: dict[str, Sequence[str]] = {}

    @cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        return self._keyed(str)

    @cached_property
    def _by_letters(self) -> Mapping[str, list[str]]:
        """Whatever the case, and however accents are written."""
        return self._keyed(_letters)

    @cached_property
    def _by_upload(self) -> Mapping[str, list[str]]:
        return self._keyed(_as_uploaded)

    def _keyed(self, key: Callable[[str], str]) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for directory, names in self._tree.images.items():
            for name in names:
                found.setdefault(key(name), []).append(joined(directory, name))
        return found

    def find(self, text: str, file: str, split: str | None = None) -> str | None:
        """The image, as a path from the folder: where the name leads from the file's folder, else the one that shares
        the most of the name's last parts; of several those of the split, then those that share the most folders with
        the file.

        The name may have folders before it, backslashes, percent-encoding, no suffix, or be a URL.

        Args:
            file: that the name stands in, as a path from the folder.
            split: of the image, where it is known; else that of the file counts.

        Raises:
            DataError: there are several, the image is what another name means, or lies outside the folder.
        """
        if "\0" in text:
            return None
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(file), text.replace("\\", "/")))
        for parts in _readings(text):
            found = self._called(parts[-1])
            if found:
                image = beside if beside in found else self._best(parts, file, found, split)
                self._check_meant(image, parts, file)
                return image
        return self._outside(text, file)

    def _outside(self, text: str, file: str) -> str | None:
        path = Path(os.path.abspath((self._tree.folder / file).parent / text))
        if not os.path.isfile(path):  # which takes names that are too long, and some that no system knows
            return None
        if self._allow_outside:
            return path.as_posix()
        line = f"{self._tree.folder / file}: {text!r} lies outside the data folder; data.allow_outside takes it"
        raise DataError(Finding("image-outside", line, path))

    def _called(self, name: str) -> Sequence[str]:
        found = self._by_name.get(name) or self._by_letters.get(_letters(name))
        if not found and suffix_of(name) not in IMAGE_SUFFIXES:
            found = list(self._tree.by_stem.get(name, ()))
        if not found and _UPLOADED.match(name):
            name = _UPLOADED.sub("", name)
            found = self._by_name.get(name) or self._by_upload.get(name)
        return found or ()

    def _best(self, parts: Sequence[str], file: str, found: Sequence[str], split: str | None) -> str:
        if len(found) == 1:
            return found[0]
        folders = set(file.split("/")[:-1])
        split = split or self._tree.split_of_file(file)
        for count in (
            lambda path: _common_end(parts, path.split("/")),
            lambda path: self._tree.split_of(path.rpartition("/")[0]) == split,
            lambda path: len(folders & set(path.split("/")[:-1])),
            lambda path: not _MASK.search(path.rpartition("/")[0]),
        ):
            counts = [count(path) for path in found]
            most = max(counts)
            found = [path for path, number in zip(found, counts, strict=True) if number == most]
        if len(found) > 1 and not self._are_copies(found):
            names = " and ".join(found[:2])
            line = f"{self._tree.folder / file}: which image is {'/'.join(parts)!r}: {names}? Keep one"
            raise DataError(Finding("image-unclear", line, self._tree.folder / found[0]))
        return found[0]

    def _are_copies(self, paths: Sequence[str]) -> bool:
        files = [self._tree.folder / path for path in paths]
        if len({file.stat().st_size for file in files}) > 1:
            return False
        first = files[0].read_bytes()
        return all(file.read_bytes() == first for file in files[1:])

    def _check_meant(self, image: str, parts: Sequence[str], file: str) -> None:
        """Raise where a name of another folder's image, which is not there, leads to this one."""
        before = self._meant.setdefault(image, parts)
        if before != parts and _common_end(before, parts) < min(len(before), len(parts)):
            names = f"{'/'.join(before)!r} and {'/'.join(parts)!r}"
            line = f"{self._tree.folder / file}: {names} both lead to {image}: which of the two is missing?"
            raise DataError(Finding("image-unclear", line, self._tree.folder / image))


def _letters(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _as_uploaded(name: str) -> str:
    """As Label Studio stores an uploaded file of this name."""
    return re.sub(r"[^-\w.]", "", name.replace(" ", "_"))


def _readings(text: str) -> list[list[str]]:
    """The parts of the path that a name may stand for."""
    texts = [text, unquote(text)]
    with suppress(ValueError):  # of brackets in the place of a host
        url = urlsplit(text)
        texts += [unquote(url.path), *parse_qs(url.query).get(_LOCAL_FILE, ())]
    paths = dict.fromkeys(one.replace("\\", "/") for one in texts)
    return [[part for part in path.split("/") if part not in ("", ".", "..")] or [path] for path in paths]


def _common_end(first: Sequence[str], second: Sequence[str]) -> int:
    pairs = zip(reversed(first), reversed(second), strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
