"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) as they are published: the binary version and the python version."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.config import Annotations, ClassificationData, DataSettings
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import Findings
from tasks.data.folders.tree import LayoutError, Tree
from tasks.data.formats.format import Format
from tasks.data.labels.class_map import class_names
from tasks.data.labels.samples import LabelledSample, broken, stored

_SIDE, _CHANNELS = 32, 3
_PIXELS = _CHANNELS * _SIDE * _SIDE
# What a pickle of the python version is made of: plain containers, which need no name, and numpy arrays.
_RECONSTRUCT = np.zeros(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


@dataclass(frozen=True)
class _Version:
    """How a set is written.

    Attributes:
        train, test: names of files.
        labels: bytes before the pixels of a record, the last of them the label; in pickles the key of the labels.
        names: the file of the classes' names; in pickles also the key in it.
    """

    train: Sequence[str]
    test: str
    labels: int | bytes
    names: tuple[str, bytes]


_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_VERSIONS = (
    _Version(tuple(f"{name}.bin" for name in _BATCHES), "test_batch.bin", 1, ("batches.meta.txt", b"")),
    _Version(_BATCHES, "test_batch", b"labels", ("batches.meta", b"label_names")),
    _Version(("train.bin",), "test.bin", 2, ("fine_label_names.txt", b"")),
    _Version(("train",), "test", b"fine_labels", ("meta", b"fine_label_names")),
)


def recognise(tree: Tree) -> bool:
    return _version(tree) is not None


def _version(tree: Tree) -> tuple[str, _Version] | None:
    """The directory of the files, and what they are."""
    for directory, names in tree.files.items():
        for version in _VERSIONS:
            if version.train[0] in names and (version.names[0] in names or version.test in names):
                return directory, version
    return None


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[LabelledSample]:
    """data_batch_1 to 5 and test_batch, with .bin or as pickles, of which only plain containers and numpy arrays are
    taken; or CIFAR-100's train and test, with its 100 fine classes.

    The classes are those of `settings.classes`, of classes.txt, or of the set's own list.

    Raises:
        InputError: a file is missing, cut short, or not what its name says, or a label has no class.
    """
    assert isinstance(settings, ClassificationData)
    found = _version(tree)
    if found is None:
        raise LayoutError(f"{tree.folder}: this is not {FORMAT.name}; wanted are {FORMAT.layout}")
    directory, version = found
    folder = tree.folder / directory
    files = {"train": [folder / name for name in version.train], "test": [folder / version.test]}
    splits, labels = {}, {}
    for split, paths in files.items():
        if split == "test" and not paths[0].is_file():
            continue
        parts = [_records(path, version.labels) for path in paths]
        numbers = np.concatenate([part[1] for part in parts])
        splits[split] = stored(np.concatenate([part[0] for part in parts]), numbers, split)
        labels[split] = paths[0], numbers
    classes = class_names(settings, folder / "classes.txt", labels, _own_names(folder / version.names[0], version))
    return DataSet(f"CIFAR-{len(classes)}", classes, splits, tuple(findings.found))


def _own_names(file: Path, version: _Version) -> tuple[str, ...]:
    if not file.is_file():
        return ()
    if isinstance(version.labels, int):
        return tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    names = _unpickled(file).get(version.names[1])
    if not isinstance(names, list) or not all(isinstance(name, (bytes, str)) for name in names):
        raise broken(f"{file}: has no list {version.names[1].decode()!r}")
    return tuple(name.decode() if isinstance(name, bytes) else name for name in names)


def _records(path: Path, labels: int | bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, 32, 32, 3) and their labels (N,).

    Raises:
        DataError: the file is missing, or not whole.
    """
    if not path.is_file():
        raise broken(f"{path}: is missing; copy the whole set")
    if isinstance(labels, int):
        content = np.fromfile(path, np.uint8)
        if not len(content) or len(content) % (labels + _PIXELS):
            raise broken(
                f"{path}: is cut short, or another kind of file: {len(content)} bytes are no whole number of records "
                f"of {labels + _PIXELS}; copy it again"
            )
        records = content.reshape(-1, labels + _PIXELS)
        pixels, numbers = records[:, labels:], records[:, labels - 1].astype(np.int64)
    else:
        found = _unpickled(path)
        data, given = found.get(b"data"), found.get(labels)
        if not (isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.shape[1:] == (_PIXELS,)):
            raise broken(f"{path}: its 'data' is no array of uint8 (N, {_PIXELS})")
        if not (isinstance(given, list) and len(given) == len(data) and all(type(one) is int for one in given)):
            raise broken(f"{path}: its {labels.decode()!r} are no list of {len(data)} numbers")
        pixels, numbers = data, np.array(given, np.int64)
    return np.ascontiguousarray(pixels.reshape(-1, _CHANNELS, _SIDE, _SIDE).transpose(0, 2, 3, 1)), numbers


def _unpickled(path: Path) -> Mapping[bytes, Any]:
    """A dict with bytes for keys, as Python 2 wrote it.

    Raises:
        DataError: it holds anything but plain containers and numpy arrays, or cannot be read.
    """
    try:
        content = _Plain(BytesIO(path.read_bytes()), encoding="bytes").load()
    except (pickle.UnpicklingError, OSError, EOFError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise broken(f"{path}: cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from None
    if not isinstance(content, dict):
        raise broken(f"{path}: holds a {type(content).__name__}; wanted is a dict")
    return {key.encode() if isinstance(key, str) else key: value for key, value in content.items()}


class _Plain(pickle.Unpickler):
    """Makes nothing that does anything when it is made."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _as_bytes
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}, which is no plain data")
        return _ALLOWED[module, name]


def _as_bytes(text: Any, encoding: Any = "latin1") -> bytes:
    """How Python 3 writes bytes in the pickles of Python 2."""
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("it holds a text in an encoding that is not known")
    return text.encode("latin1")


FORMAT = Format(
    key="cifar",
    name="CIFAR",
    layout="data_batch_1.bin to data_batch_5.bin, test_batch.bin and batches.meta.txt, or the same as pickles",
    annotations=("labels",),
    precedence=21,
    recognise=recognise,
    read=read,
    settings=("classes",),
)
