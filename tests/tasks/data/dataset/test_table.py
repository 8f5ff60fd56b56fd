"""A split's index: texts without objects, and what goes to another process."""

import pickle

import numpy as np

from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.table import SampleTable, Texts
from tasks.data.findings import Place

COUNT = 5_000


def _samples() -> SampleTable:
    objects = Objects()
    for number in range(COUNT):
        objects.add(number % 100, (1, 1, 2 + number % 30, 9), number % 3)
        objects.segmentations.append(b"[[1,1,9,1,9,9]]")
    names = [f"{number:03d}.jpg" for number in range(100)]
    images = ["nothing"] * 100
    return build_table(names, images, [(64, 48)] * 100, objects, lambda number: Place(""))  # type: ignore[arg-type]


def test_a_pickled_index_is_the_same() -> None:
    """As it must be where workers are not forked."""
    samples = _samples()
    copy = pickle.loads(pickle.dumps(samples))
    assert list(copy.names) == list(samples.names)
    for one, two in zip(samples, copy, strict=True):
        np.testing.assert_array_equal(one.boxes, two.boxes)
        assert (one.name, one.size, one.segmentations) == (two.name, two.size, two.segmentations)


def test_texts() -> None:
    texts = Texts([b"a", b"", "häh".encode(), b"bc"])
    assert list(texts) == ["a", "", "häh", "bc"]
    assert list(texts.take([3, 0])) == ["bc", "a"]
    assert texts.raw(1) == b""
    assert list(Texts([])) == []
