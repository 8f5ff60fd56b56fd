"""The idx files of MNIST (LeCun et al. 1998), which Fashion-MNIST, KMNIST and EMNIST have too: big-endian, perhaps
gzipped."""

import gzip
import re
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.config import Annotations, ClassificationData, DataSettings
from tasks.data.dataset.splits import DataSet
from tasks.data.findings import Findings
from tasks.data.folders.tree import SPLITS, LayoutError, Tree, joined, split_named
from tasks.data.formats.format import Format
from tasks.data.labels.class_map import class_names
from tasks.data.labels.samples import LabelledSample, broken, stored

_NAME = re.compile(r"(.*-)?(train|t10k|test|valid|val)-(images|labels)[-.]idx([13])-ubyte(\.gz)?")
_GZIP = b"\x1f\x8b"
_UBYTE = 0x08
_DIMENSIONS = {"images": 3, "labels": 1}
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def recognise(tree: Tree) -> bool:
    return any(_NAME.fullmatch(name) for names in tree.files.values() for name in names)


def read(tree: Tree, settings: DataSettings, annotations: Annotations, findings: Findings) -> DataSet[LabelledSample]:
    """train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, which is
    test; each may be gzipped.

    The classes are those of `settings.classes`, of classes.txt, of Fashion-MNIST where a folder above is called so, or
    the labels themselves.

    Raises:
        InputError: a file is missing, cut short, or not what its name says, or a label has no class.
    """
    assert isinstance(settings, ClassificationData)
    found = _found(tree)
    images: dict[str, NDArray[np.uint8]] = {}
    labels: dict[str, tuple[Path, NDArray[np.int64]]] = {}
    for split in SPLITS:
        files = {what: tree.folder / file for (one, what), file in found.items() if one == split}
        if not files:
            continue
        if lacking := {"images", "labels"} - files.keys():
            (other,) = files.values()
            raise broken(f"{other}: its file of {lacking.pop()} is missing")
        images[split] = read_idx(files["images"], "images")
        labels[split] = files["labels"], read_idx(files["labels"], "labels").astype(np.int64)
        if len(images[split]) != len(labels[split][1]):
            raise broken(
                f"{files['labels']}: has {len(labels[split][1])} labels for the {len(images[split])} images of "
                f"{files['images'].name}"
            )
    if "train" not in images:
        raise broken(
            f"{tree.folder}: has {' and '.join(images) or 'no idx files'}, and no train; wanted is {FORMAT.layout}"
        )
    folder = labels["train"][0].parent
    own = folder.resolve()
    named = _FASHION if "fashion" in (own.parent if own.name == "raw" else own).name.lower() else ()
    classes = class_names(settings, folder / "classes.txt", labels, named)
    splits = {split: stored(images[split], numbers, split) for split, (_, numbers) in labels.items()}
    return DataSet("idx files", classes, splits, tuple(findings.found))


def _found(tree: Tree) -> dict[tuple[str, str], str]:
    """(split, what) -> the file, as a path from the folder. All are of one set: of one directory, and with one
    beginning.

    Raises:
        LayoutError: there are several sets.
    """
    sets: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    for directory, names in tree.files.items():
        for name in names:
            if match := _NAME.fullmatch(name):
                found = sets.setdefault((directory, match[1] or ""), {})
                found.setdefault((split_named(match[2]) or "test", match[3]), joined(directory, name))
    if len(sets) > 1:
        listed = ", ".join(joined(directory, f"{beginning}*") for directory, beginning in sets)
        raise LayoutError(f"{tree.folder}: holds several sets of idx files ({listed}); give the folder of one")
    return next(iter(sets.values()), {})


def read_idx(path: Path, what: str) -> NDArray[np.uint8]:
    """An array of unsigned bytes.

    Args:
        what: images, of three dimensions, or labels, of one.

    Raises:
        DataError: the file cannot be read, is cut short or too long, or has another type or other dimensions.
    """
    dimensions = _DIMENSIONS[what]
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise broken(f"{path}: cannot be read: {error}; copy it again") from None
    header, shown = 4 + 4 * dimensions, content[:4].hex(" ") or "nothing"
    if len(content) < header or content[:4] != bytes((0, 0, _UBYTE, dimensions)):
        wanted = f"an idx file of {what} begins with 00 00 08 {dimensions:02d}"
        raise broken(f"{path}: begins with {shown}; {wanted}")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    size, there = int(np.prod(shape, dtype=np.int64)), len(content) - header
    if there != size:
        extent = " x ".join(map(str, shape))
        how = "cut short" if there < size else "too long"
        raise broken(f"{path}: is {how}: {there} bytes for {extent} of {what}; copy it again")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


FORMAT = Format(
    key="idx",
    name="idx files",
    layout="train-images-idx3-ubyte and train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte",
    annotations=("labels",),
    precedence=20,
    recognise=recognise,
    read=read,
    settings=("classes",),
)
