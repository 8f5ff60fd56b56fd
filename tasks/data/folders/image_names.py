"""Which image an annotation means by a name: people move their images, and tools write paths of other machines."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import takewhile
from urllib.parse import parse_qs, unquote, urlsplit

from tasks.data.folders.tree import LayoutError, Tree, joined, suffix_of
from tasks.data.images import IMAGE_SUFFIXES

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # before the names of files that were uploaded to Label Studio
_LOCAL_FILE = "d"  # the parameter of its URLs that holds the path


class ImageNames:
    """Finds the images of a folder by the names that annotations give them."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._by_name: dict[str, list[str]] = {}
        for directory, names in tree.images.items():
            for name in names:
                self._by_name.setdefault(name, []).append(joined(directory, name))

    def find(self, text: str, file: str) -> str | None:
        """The image, as a path from the folder: the one that shares the most of the name's last parts; of several
        those of the annotation's split, then the nearest to it.

        The name may have folders before it, backslashes, percent-encoding, no suffix, or be a URL.

        Args:
            file: that the name stands in, as a path from the folder.

        Raises:
            LayoutError: there are several.
        """
        for parts in _readings(text):
            name = parts[-1]
            known = suffix_of(name) in IMAGE_SUFFIXES
            found = self._by_name.get(name) or ([] if known else self._tree.by_stem.get(name))
            if not found and _UPLOADED.match(name):
                found = self._by_name.get(_UPLOADED.sub("", name))
            if found:
                return self._best(parts, file, found)
        return None

    def _best(self, parts: Sequence[str], file: str, found: Sequence[str]) -> str:
        if len(found) == 1:
            return found[0]
        found = _most(found, [_common(reversed(parts), reversed(path.split("/"))) for path in found])
        split = self._tree.split_of_file(file)
        found = _most(found, [int(self._tree.split_of(path.rpartition("/")[0]) == split) for path in found])
        found = _most(found, [_common(file.split("/")[:-1], path.split("/")) for path in found])
        if len(found) > 1:
            names = " and ".join(found[:2])
            raise LayoutError(f"{self._tree.folder / file}: which image is {'/'.join(parts)!r}: {names}? Keep one")
        return found[0]


def _readings(text: str) -> list[list[str]]:
    """The parts of the path that a name may stand for."""
    texts = [text, unquote(text)]
    with suppress(ValueError):  # of brackets in the place of a host
        url = urlsplit(text)
        texts += [unquote(url.path), *parse_qs(url.query).get(_LOCAL_FILE, ())]
    paths = dict.fromkeys(one.replace("\\", "/") for one in texts)
    return [[part for part in path.split("/") if part not in ("", ".", "..")] or [path] for path in paths]


def _common(first: Iterable[str], second: Iterable[str]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))))


def _most(paths: Sequence[str], counts: Sequence[int]) -> list[str]:
    return [path for path, count in zip(paths, counts, strict=True) if count == max(counts)]
