"""The image that an annotation means."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbones import InputError
from tasks.data.folders.image_names import ImageNames
from tasks.data.folders.tree import Tree

FILES = {
    "train": ("a.jpg", "b [1] (copy).jpg", "50%.png", "x#1.jpg"),
    "val": ("a.jpg",),
    "deep/er": ("c.tif", "d é.jpg"),
}
TREE = Tree(Path("/data"), FILES)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("train/a.jpg", "train/a.jpg"),
        ("val/a.jpg", "val/a.jpg"),
        ("..\\..\\val\\a.jpg", "val/a.jpg"),
        ("C:\\somewhere\\else\\c.tif", "deep/er/c.tif"),
        ("b [1] (copy).jpg", "train/b [1] (copy).jpg"),
        ("b%20%5B1%5D%20(copy).jpg", "train/b [1] (copy).jpg"),
        ("50%.png", "train/50%.png"),
        ("x#1.jpg", "train/x#1.jpg"),
        ("https://host/bucket/c.tif?signature=abc", "deep/er/c.tif"),
        ("http://[broken/c.tif", "deep/er/c.tif"),
        ("/data/local-files/?d=one/two/d%20%C3%A9.jpg", "deep/er/d é.jpg"),
        ("/data/local-files/?d=c.tif", "deep/er/c.tif"),
        ("/data/upload/3/0123abcd-c.tif", "deep/er/c.tif"),
        ("c", "deep/er/c.tif"),
        ("c.png", None),
        ("", None),
    ],
)
def test_a_name_finds_its_image(name: str, path: str | None) -> None:
    assert ImageNames(TREE).find(name, "labels.json") == path


def _tree(folder: Path, *paths: str) -> Tree:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return Tree.of(folder)


@pytest.mark.parametrize(
    ("paths", "name", "file", "split", "wanted"),
    [
        (["train/a.jpg", "val/a.jpg"], "a.jpg", "train_labels.csv", None, "train/a.jpg"),
        (["train/a.jpg", "val/a.jpg"], "a.jpg", "val/labels.csv", None, "val/a.jpg"),
        (["train/a.jpg", "val/a.jpg"], "a.jpg", "all.csv", "val", "val/a.jpg"),
        (["one/img/a.jpg", "two/img/a.jpg"], "a.jpg", "two/a.json", None, "two/img/a.jpg"),
        (["images/A/a.jpg", "images/B/a.jpg"], "a.jpg", "labels/B/a.json", None, "images/B/a.jpg"),
        (["a.jpg", "crops/a.jpg"], "a.jpg", "a.json", None, "a.jpg"),
        (["data/a.jpg", "data/aug/a.jpg"], "a.jpg", "data/aug/a.json", None, "data/aug/a.jpg"),
        (["images/a.png", "masks/a.png"], "a.png", "labels.csv", None, "images/a.png"),
        (["images/A.JPG"], "a.jpg", "labels.csv", None, "images/A.JPG"),
        (["images/za\u0308hler.jpg"], "z\u00e4hler.jpg", "labels.csv", None, "images/za\u0308hler.jpg"),
        (["images/my photo (1).jpg"], "0123abcd-my_photo_1.jpg", "e.json", None, "images/my photo (1).jpg"),
    ],
)
def test_of_several_the_nearest_is_found(
    paths: list[str], name: str, file: str, split: str | None, wanted: str, tmp_path: Path
) -> None:
    assert ImageNames(_tree(tmp_path, *paths)).find(name, file, split) == wanted


def test_of_copies_the_first_is_taken_and_of_others_none(tmp_path: Path) -> None:
    tree = _tree(tmp_path, "Apple/x.jpg", "Orange/x.jpg")
    with pytest.raises(InputError, match=r"boxes.csv: which image is 'x.jpg': Apple/x.jpg and Orange/x.jpg\?"):
        ImageNames(tree).find("x.jpg", "boxes.csv")
    (tmp_path / "Orange/x.jpg").write_bytes((tmp_path / "Apple/x.jpg").read_bytes())
    assert ImageNames(tree).find("x.jpg", "boxes.csv") == "Apple/x.jpg"


def test_two_names_of_one_image_are_an_error(tmp_path: Path) -> None:
    names = ImageNames(_tree(tmp_path, "cam1/a.png"))
    assert names.find("cam1/a.png", "boxes.csv") == names.find("./cam1/a.png", "boxes.csv") == "cam1/a.png"
    assert names.find("a.png", "boxes.csv") == "cam1/a.png"
    with pytest.raises(InputError, match=r"'cam1/a.png' and 'cam2/a.png' both lead to cam1/a.png: which of the two is"):
        names.find("cam2/a.png", "boxes.csv")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return _tree(tmp_path_factory.mktemp("names"), *(f"{place}/{name}" for place in FILES for name in FILES[place]))


@given(text=st.text(max_size=30))
def test_any_text_is_a_name(written: Tree, text: str) -> None:
    with suppress(InputError):
        ImageNames(written).find(text, "labels.json")
