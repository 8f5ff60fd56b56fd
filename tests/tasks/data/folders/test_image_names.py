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


def test_of_several_the_split_and_the_nearest_count() -> None:
    assert ImageNames(TREE).find("a.jpg", "train_labels.csv") == "train/a.jpg"
    assert ImageNames(TREE).find("a.jpg", "valid/labels.csv") == "val/a.jpg"
    near = Tree(Path("/data"), {"one/img": ("a.jpg",), "two/img": ("a.jpg",)})
    assert ImageNames(near).find("a.jpg", "two/a.json") == "two/img/a.jpg"
    with pytest.raises(InputError, match=r"/data/labels.csv: which image is 'a.jpg': train/a.jpg and val/a.jpg\?"):
        ImageNames(TREE).find("a.jpg", "labels.csv")


@given(st.text(max_size=30))
def test_any_text_is_a_name(text: str) -> None:
    with suppress(InputError):
        ImageNames(TREE).find(text, "labels.json")
