"""idx files and CIFAR, made by code as they are published: many images with their labels in a file."""

import gzip
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchvision.datasets import CIFAR10, CIFAR100, MNIST

from backbones import InputError
from tasks.data import Reading
from tests.tasks.data.formats.labelled import RANDOM, Images, idx, message, opened, write_idx
from tests.writers import write_class_folders

# idx files


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("dot", ["-", "."])
def test_idx_files_are_what_torchvision_reads(zipped: bool, dot: str, tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST/raw", {"train": 60, "t10k": 20}, zipped=zipped, dot=dot)
    data = opened(tmp_path)
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 48, "val": 12, "test": 20}
    assert data.classes == tuple("0123456789")
    write_idx(tmp_path / "plain/MNIST/raw", {"train": 60, "t10k": 20}, zipped=False)
    for place in tmp_path.glob("MNIST/raw/*"):  # torchvision wants them unzipped, with a hyphen
        name = place.name.removesuffix(".gz").replace(".", "-")
        content = place.read_bytes()
        (tmp_path / "plain/MNIST/raw" / name).write_bytes(gzip.decompress(content) if zipped else content)
    theirs = MNIST(tmp_path / "plain", train=False)
    for ours, (image, label) in zip(data.splits["test"], theirs, strict=True):
        assert np.array_equal(ours.read(Reading(1))[:, :, 0], np.asarray(image))
        assert ours.label == label


def test_gzip_is_seen_by_its_content(tmp_path: Path) -> None:
    write_idx(tmp_path, {"train": 20}, zipped=True)
    for path in tmp_path.iterdir():
        path.rename(path.with_name(path.name.removesuffix(".gz")))
    assert len(opened(tmp_path).splits["train"]) == 16


def test_fashion_mnist_has_its_names(tmp_path: Path) -> None:
    data = opened(write_idx(tmp_path / "fashion-mnist", {"train": 30, "t10k": 10}))
    assert data.classes[0] == "T-shirt/top"
    assert data.classes[-1] == "Ankle boot"
    (tmp_path / "fashion-mnist/classes.txt").write_text("".join(f"kind {number}\n" for number in range(10)))
    assert opened(tmp_path).classes[3] == "kind 3"
    assert opened(tmp_path, classes=tuple("abcdefghij")).classes[9] == "j"


@given(
    array=st.one_of(
        arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3)), arrays(np.uint8, st.tuples(st.integers(1, 40)))
    ),
    cut=st.integers(1, 30),
)
@settings(max_examples=30, deadline=None)
def test_whatever_is_written_is_read_and_nothing_shorter(array: Images, cut: int) -> None:
    from tasks.data.formats.idx import read_idx

    with tempfile.TemporaryDirectory() as folder:
        path, what = Path(folder) / "a", "images" if array.ndim == 3 else "labels"
        path.write_bytes(idx(array))
        assert np.array_equal(read_idx(path, what), array)
        path.write_bytes(idx(array)[:-cut])
        with pytest.raises(InputError, match=r"cut short|begins with"):
            read_idx(path, what)


def test_bad_idx_files_are_named(tmp_path: Path) -> None:
    write_idx(tmp_path, {"train": 20, "t10k": 10}, zipped=False)
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    whole, numbers = images.read_bytes(), labels.read_bytes()
    images.write_bytes(whole[:1000])
    assert message(tmp_path) == f"{images}: is cut short: 984 bytes for 20 x 28 x 28 of images; copy it again"
    images.write_bytes(whole + b"\0")
    assert "is too long" in message(tmp_path)
    images.write_bytes(b"\0\0\x0d\x03" + whole[4:])
    assert "begins with 00 00 0d 03; an idx file of images begins with 00 00 08 03" in message(tmp_path)
    images.write_bytes(gzip.compress(whole)[:500])
    assert message(tmp_path).startswith(f"{images}: cannot be read: ")
    images.write_bytes(b"")
    assert "begins with nothing" in message(tmp_path)
    images.unlink()
    assert message(tmp_path) == f"{labels}: its file of images is missing"
    images.write_bytes(whole)
    labels.write_bytes(idx(np.zeros(19, np.uint8)))
    assert "has 19 labels for the 20 images of train-images-idx3-ubyte" in message(tmp_path)
    labels.write_bytes(idx(np.zeros(20, np.uint8)))
    assert "nothing but one class" in message(tmp_path, classes=tuple("abcdefghij"))
    labels.write_bytes(idx(np.array([0, 1, 2, 200] * 5, np.uint8)))
    assert "has the label 200 and no 3" in message(tmp_path)
    labels.write_bytes(numbers)
    assert "image 4 has the label 4, but data.classes has 4 classes, from 0 to 3" in message(
        tmp_path, classes=("a", "b", "c", "d")
    )
    assert "'a' names two classes" in message(tmp_path, classes=("a", "a"))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.full(10, 12, np.uint8)))
    assert "t10k-labels-idx1-ubyte: image 0 has the label 12, but train has 10 classes" in message(tmp_path)
    for file in tmp_path.glob("train*"):
        file.unlink()
    assert "has test, and no train; wanted is train-images-idx3-ubyte" in message(tmp_path)


def test_files_of_two_sets_are_not_mixed(tmp_path: Path) -> None:
    write_idx(tmp_path / "FashionMNIST/raw", {"train": 20})
    write_idx(tmp_path / "MNIST/raw", {"train": 20, "t10k": 10})
    text = message(tmp_path)
    assert "holds several sets of idx files (FashionMNIST/raw/*, MNIST/raw/*); give the folder of one" in text
    assert opened(tmp_path / "MNIST").classes == tuple("0123456789")
    assert opened(tmp_path / "FashionMNIST").classes[0] == "T-shirt/top"
    write_idx(tmp_path / "fashion project/MNIST/raw", {"train": 20})
    assert opened(tmp_path / "fashion project").classes == tuple("0123456789")


def test_another_folder_called_by_a_formats_name_is_one_line(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"": 4})
    assert "this is not CIFAR; wanted are data_batch_1.bin" in message(tmp_path, format="cifar")
    assert "has no idx files, and no train; wanted is" in message(tmp_path, format="idx")


# CIFAR

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def records(count: int, classes: int = 10) -> tuple[Images, list[int]]:
    return RANDOM.integers(0, 256, (count, 3072), dtype=np.uint8), [number % classes for number in range(count)]


def write_cifar10(folder: Path, kind: str, key: Any = str.encode) -> Path:
    place = folder / ("cifar-10-batches-bin" if kind == "bin" else "cifar-10-batches-py")
    place.mkdir(parents=True)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        pixels, labels = records(20)
        if kind == "bin":
            table = np.concatenate([np.array(labels, np.uint8)[:, None], pixels], axis=1)
            (place / f"{name}.bin").write_bytes(table.tobytes())
        else:  # protocol 2 and text as Python 2 wrote it
            content = {key("data"): pixels, key("labels"): labels, key("filenames"): [key("a.png")] * 20}
            (place / name).write_bytes(pickle.dumps(content, protocol=2))
    if kind == "bin":
        (place / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    else:
        meta = {key("label_names"): [key(name) for name in NAMES], key("num_vis"): 3072}
        (place / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))
    return folder


@pytest.mark.parametrize("kind", ["bin", "pickle"])
def test_cifar10(kind: str, tmp_path: Path) -> None:
    data = opened(write_cifar10(tmp_path, kind))
    assert data.classes == NAMES
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 80, "val": 20, "test": 20}
    assert data.splits["test"].labels.tolist() == [number % 10 for number in range(20)]


def test_cifar10_is_what_torchvision_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar10(tmp_path, "pickle", str)  # with names as Python 3 reads those of Python 2
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(CIFAR10, "_load_meta", lambda self: None)
    theirs = CIFAR10(str(tmp_path), train=False)
    for ours, (image, label) in zip(opened(tmp_path).splits["test"], theirs, strict=True):
        assert np.array_equal(ours.read(), np.asarray(image))
        assert ours.label == label


@pytest.mark.parametrize("kind", ["bin", "pickle"])
def test_cifar100_has_the_fine_classes(kind: str, tmp_path: Path) -> None:
    names = [f"fine{number:02d}" for number in range(100)]
    for split, count in (("train", 200), ("test", 100)):
        pixels, labels = records(count, 100)
        if kind == "bin":
            coarse, fine = np.zeros((count, 1), np.uint8), np.array(labels, np.uint8)[:, None]
            (tmp_path / f"{split}.bin").write_bytes(np.concatenate([coarse, fine, pixels], axis=1).tobytes())
        else:
            content = {b"data": pixels, b"fine_labels": labels, b"coarse_labels": [0] * count}
            (tmp_path / split).write_bytes(pickle.dumps(content, protocol=2))
    if kind == "bin":
        (tmp_path / "fine_label_names.txt").write_text("\n".join(names))
    else:
        meta = {b"fine_label_names": [name.encode() for name in names]}
        (tmp_path / "meta").write_bytes(pickle.dumps(meta, protocol=2))
    data = opened(tmp_path)
    assert data.classes == tuple(names)
    assert data.splits["test"].labels.tolist() == list(range(100))
    assert CIFAR100.meta["key"] == "fine_label_names"


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(tempfile.gettempdir()) / "harm-was-done",)


def test_bad_cifar_files_are_named_and_run_nothing(tmp_path: Path) -> None:
    folder = write_cifar10(tmp_path / "a", "bin")
    file = folder / "cifar-10-batches-bin/data_batch_3.bin"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert f"{file}: is cut short, or another kind of file" in message(folder)
    file.write_bytes(b"\x0b" + whole[1:])
    assert "has the label 11" in message(folder)
    file.unlink()
    assert message(folder) == f"{file}: is missing; copy the whole set"
    folder = write_cifar10(tmp_path / "b", "pickle")
    file = folder / "cifar-10-batches-py/data_batch_3"
    for content, said in [
        (pickle.dumps({b"data": Harm()}), "which is no plain data"),
        (pickle.dumps({b"data": [1, 2]}, protocol=2), "its 'data' is no array of uint8 (N, 3072)"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}), "'labels' are no list of 2 numbers"),
        (pickle.dumps([1]), "holds a list; wanted is a dict"),
        (b"\x80\x02}", "cannot be read"),
        (b"", "cannot be read"),
    ]:
        file.write_bytes(content)
        text = message(folder)
        assert text.startswith(str(file))
        assert said in text
    assert not (Path(tempfile.gettempdir()) / "harm-was-done").exists()
