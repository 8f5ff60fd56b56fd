"""What the values of masks mean: one decision for named, counted and coloured ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from backbones import InputError
from tasks.config import SegmentationData
from tasks.data import IGNORE, DataSet, MaskedSample, open_data

SIZE = (6, 4)


def _values(*values: float, dtype: type = np.uint8) -> np.ndarray[Any, Any]:
    return np.resize(np.array(values, dtype), (SIZE[1], SIZE[0]))


def _bits(*values: int) -> Image.Image:
    return Image.fromarray(_values(*values) > 0)


def _palette(colours: list[tuple[int, int, int]], *values: int) -> Image.Image:
    image = Image.fromarray(_values(*values)).convert("P")
    image.putdata(_values(*values).reshape(-1).tolist())
    image.putpalette([value for colour in colours for value in colour])
    return image


def _folder(folder: Path, *masks: Any, suffix: str = ".png", names: str = "") -> Path:
    """Masks of train, the last of them of val too."""
    for split, items in (("train", masks), ("val", masks[-1:])):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
        for number, mask in enumerate(items):
            image = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
            Image.new("RGB", image.size).save(folder / split / f"images/{number:02d}.png")
            image.save(folder / split / f"masks/{number:02d}{suffix}")
    if names:
        (folder / "classes.txt").write_text(names)
    return folder


def _open(folder: Path, **settings: Any) -> DataSet[MaskedSample]:
    return open_data(SegmentationData(path=str(folder), **settings), "masks")


def _labels(data: DataSet[MaskedSample], number: int = 0) -> list[int]:
    values: list[int] = data.splits["train"][number].mask.labels().reshape(-1).tolist()
    return values


@pytest.mark.parametrize("named", ["given", "classes.txt", "not"])
def test_masks_of_0_and_255_alone_have_two_classes(named: str, tmp_path: Path) -> None:
    """Also where the first of them are black."""
    masks = [_values(0)] * 30 + [_values(0, 255)]
    _folder(tmp_path, *masks, names="ground\ncell\n" if named == "classes.txt" else "")
    data = _open(tmp_path, classes=("ground", "cell")) if named == "given" else _open(tmp_path)
    assert data.classes == (("0", "255") if named == "not" else ("ground", "cell"))
    assert _labels(data, 30) == [0, 1] * 12
    assert data.splits["val"][0].mask.labels().max() == 1


def test_255_beside_other_values_is_ignored(tmp_path: Path) -> None:
    data = _open(_folder(tmp_path, _values(0, 1, 255)), classes=("ground", "cell"))
    assert _labels(data)[:3] == [0, 1, IGNORE]


def test_a_named_background_may_be_ignored(tmp_path: Path) -> None:
    data = _open(_folder(tmp_path, _values(0, 1, 2)), classes=("void", "cell", "dirt"))
    assert data.classes == ("cell", "dirt")
    assert _labels(data)[:3] == [IGNORE, 0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ("cell",)}, "the masks hold 0 and 255 alone, and 1 classes are named; name two"),
        ({"classes": ("a", "b", "c")}, "the masks hold 0 and 255 alone, and 3 classes are named; name two"),
        ({"classes": ("a", "a")}, "two classes share a name"),
        ({"classes": ("a", "b"), "ignore_index": 255}, "hold 0 and 255 alone, and 255 is ignored; name two"),
    ],
)
def test_names_that_do_not_fit_0_and_255(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        _open(_folder(tmp_path, _values(0, 255)), **settings)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("stray", [1, 128])
def test_a_stray_pixel_beside_0_and_255_does_not_make_255_ignored(stray: int, named: bool, tmp_path: Path) -> None:
    mask = np.resize(_values(0, 255), (40, 40)).copy()
    spoilt = mask.copy()
    spoilt[3, 4] = stray
    folder = _folder(tmp_path, *[mask] * 40, spoilt)
    settings: dict[str, Any] = {"classes": ("ground", "cell")} if named else {}
    with pytest.raises(InputError, match=rf"hold 0 and 255, and 2 pixels of other values \(such as {stray}\), beside"):
        _open(folder, **settings)
    assert _open(folder, mask_threshold=128, **settings).splits["train"].label_set() == {0, 1}


@pytest.mark.parametrize(
    "names",
    [
        "ground 0 0 0\ncell 255 255 255\n",
        "0 0 0 ground\n255 255 255 cell\n",
        "ground,0,0,0\ncell,255,255,255\n",
    ],
)
def test_grey_masks_under_a_table_of_grey_colours(names: str, tmp_path: Path) -> None:
    data = _open(_folder(tmp_path, _values(0, 255), names=names))
    assert (data.classes, _labels(data)[:2]) == (("ground", "cell"), [0, 1])


@pytest.mark.parametrize(("values", "names"), [((0, 1), "unlabelled\ncar\n"), ((1, 255), "")])
def test_one_class_and_the_rest_ignored_is_nothing_to_learn(
    values: tuple[int, int], names: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="nothing but one class, and what is ignored, in the 1 masks of train; there"):
        _open(_folder(tmp_path, _values(*values), names=names))


def test_a_named_class_whose_value_is_ignored_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the class 'cell' has the value 1, which is ignored"):
        _open(_folder(tmp_path, _values(0, 1, 2)), classes=("ground", "cell", "dirt"), ignore_index=1)


@pytest.mark.parametrize("white", [1, 255])
def test_masks_of_1_bit_and_of_8_mean_the_same(white: int, tmp_path: Path) -> None:
    data = _open(_folder(tmp_path, _bits(0, 1), _values(0, white)))
    assert data.classes == ("0", str(white))
    assert _labels(data, 0) == _labels(data, 1) == [0, 1] * 12
    named = _open(tmp_path, classes=("ground", "cell"))
    assert _labels(named, 0) == _labels(named, 1) == [0, 1] * 12


def test_masks_of_1_bit_alone(tmp_path: Path) -> None:
    data = _open(_folder(tmp_path, _bits(0, 1)))
    assert (data.classes, _labels(data)[:2]) == (("0", "1"), [0, 1])


def test_a_palette_is_looked_up_where_colours_are_named(tmp_path: Path) -> None:
    colours = [(0, 0, 255), (255, 0, 0)]
    mask = _palette(colours, 0, 1)
    as_colours = mask.convert("RGB")
    data = _open(_folder(tmp_path / "named", mask, as_colours, names="red 255 0 0\nblue 0 0 255\n"))
    assert data.classes == ("red", "blue")
    assert _labels(data, 0) == _labels(data, 1) == [1, 0] * 12
    assert _labels(_open(_folder(tmp_path / "not", mask))) == [0, 1] * 12


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (_values(0, 70000, dtype=np.int32), "12 pixels have the value 70000, which is no class: classes are whole"),
        (_values(0, -1, dtype=np.int32), "12 pixels have the value -1, which is no class"),
        (_values(0, 0.5, dtype=np.float32), "12 pixels have the value 0.5, which is no class"),
        (_values(0, np.nan, dtype=np.float32), "12 pixels have the value nan, which is no class"),
    ],
)
def test_values_that_are_no_classes_are_an_error(mask: np.ndarray[Any, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        _open(_folder(tmp_path, mask, suffix=".tif"))


def test_whole_numbers_as_floats_are_classes(tmp_path: Path) -> None:
    data = _open(_folder(tmp_path, _values(0, 3, dtype=np.float32), suffix=".tif"))
    assert (data.classes, _labels(data)[:2]) == (("0", "3"), [0, 1])


def _disc() -> Image.Image:
    rows, columns = np.mgrid[:64, :64]
    return Image.fromarray(((rows - 30) ** 2 + (columns - 34) ** 2 < 20**2).astype(np.uint8) * 255)


@pytest.mark.parametrize("how", ["soft", "jpeg", "254"])
def test_soft_edges_are_said_and_can_be_thresholded(how: str, tmp_path: Path) -> None:
    sharp = _disc()
    masks = {
        "soft": sharp.filter(ImageFilter.GaussianBlur(1)),
        "jpeg": sharp,
        "254": Image.fromarray(np.where(np.indices((64, 64))[0] % 9, sharp, np.minimum(sharp, 254)).astype(np.uint8)),
    }
    folder = _folder(tmp_path, masks[how], suffix=".jpg" if how == "jpeg" else ".png")
    with pytest.raises(InputError, match=r"masks: the masks hold \d+ values \(0, .*data.mask_threshold 128"):
        _open(folder)
    data = _open(folder, mask_threshold=128)
    assert data.classes == ("0", "1")
    assert (data.splits["train"][0].mask.labels() != np.asarray(sharp) // 255).mean() < 0.01
    assert _open(folder, mask_threshold=128, classes=("ground", "cell")).classes == ("ground", "cell")
    with pytest.raises(InputError, match="mask_threshold makes two classes, and 3 are named"):
        _open(folder, mask_threshold=128, classes=("a", "b", "c"))


@pytest.mark.parametrize(
    "values",
    [
        [0] * 90 + [255] * 10,  # black and white
        [0] * 40 + [8] * 30 + [2] * 15 + [11, 13, 17] + [255] * 10,  # street scenes, 255 ignored
        list(range(21)) * 5 + [255] * 20,
        [0] * 90 + [128] * 5 + [255] * 5,  # three grey levels
        [0] * 95 + [40, 80, 120, 160],  # four classes, rare ones
        [0] * 80 + [63] * 5 + [126] * 5 + [189] * 5 + [252] * 5,  # organs of CHAOS
        [0] * 60 + [50, 100, 150, 200, 250] * 8,
        [0] * 90 + [2, 5, 40, 66, 102] + [255] * 5,  # a few of many classes
    ],
)
def test_classes_are_not_taken_for_soft_edges(values: list[int], tmp_path: Path) -> None:
    mask = np.resize(np.array(values, np.uint8), (20, 20))
    assert len(_open(_folder(tmp_path, mask)).classes) > 1


def test_lists_of_voc_name_files_with_blanks_and_brackets_once(tmp_path: Path) -> None:
    for place in ("JPEGImages", "SegmentationClass"):
        (tmp_path / place).mkdir()
    for name in ("a b [1]", "scene", "scene.night", "v"):
        Image.new("RGB", SIZE).save(tmp_path / "JPEGImages" / f"{name}.jpg")
        Image.fromarray(_values(0, 1 if name == "scene.night" else 2)).save(tmp_path / f"SegmentationClass/{name}.png")
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_bytes("\ufeffa b [1]\r\nscene  \r\nscene\r\n".encode())
    (lists / "val.txt").write_text("v\n")
    data = _open(tmp_path)
    assert [sample.name for sample in data.splits["train"]] == ["a b [1].jpg", "scene.jpg"]
    assert max(_labels(data, 1)) == data.classes.index("2")
    Image.new("RGB", SIZE).save(tmp_path / "JPEGImages/scene.png")
    with pytest.raises(InputError, match=r"scene\.jpg and scene\.png: two files of one name"):
        _open(tmp_path)
    (tmp_path / "JPEGImages/scene.png").unlink()
    (tmp_path / "SegmentationClass/scene.png").unlink()
    with pytest.raises(InputError, match=r"SegmentationClass/scene: the mask is missing, but .*train\.txt names it"):
        _open(tmp_path)
