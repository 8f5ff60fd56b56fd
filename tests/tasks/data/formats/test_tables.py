"""Tables of boxes: Open Images and plain CSV."""

from pathlib import Path

import numpy as np
import pytest

from backbones import InputError
from tasks.data import DataSet, Sample, open_data
from tests.heads import data_for
from tests.tasks.data.formats.examples import EXAMPLES, HEIGHT, WIDTH, save, write
from tests.tasks.data.formats.layouts import LAYOUTS

HEADER = "image,xmin,ymin,xmax,ymax,class\n"


def _open(folder: Path) -> DataSet[Sample]:
    return open_data(data_for("boxes", path=str(folder), val_fraction=0.5), "boxes")


def _two_images(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        save(folder / "images" / name, EXAMPLES[0].pixels())


def test_groups_of_open_images_are_crowds(tmp_path: Path) -> None:
    LAYOUTS["open_images_a_few_of_all"](tmp_path)
    path = tmp_path / "oidv6-train-annotations-bbox.csv"
    lines = path.read_text().splitlines()
    lines[-1] = lines[-1].removesuffix("0,0,0") + "1,0,0"
    write(path, "\n".join(lines))
    crowd = np.concatenate([one.crowd for one in _open(tmp_path).splits["train"]])
    assert crowd.sum() == 1


def test_rows_without_a_box_are_images_without_objects(tmp_path: Path) -> None:
    _two_images(tmp_path)
    write(tmp_path / "boxes.csv", f"{HEADER}a.png,1,2,30,40,cell\n\nb.png,,,,,\n")
    samples = [one for split in _open(tmp_path).splits.values() for one in split]
    assert sorted((one.name, len(one.labels)) for one in samples) == [("a.png", 1), ("b.png", 0)]


def test_whether_corners_are_shares_is_seen_in_the_whole_table(tmp_path: Path) -> None:
    _two_images(tmp_path)
    write(tmp_path / "boxes.csv", f"{HEADER}a.png,0,0,1,1,cell\nb.png,0.25,0.25,0.5,0.5,cell\n")
    boxes = {one.name: one.boxes.tolist() for split in _open(tmp_path).splits.values() for one in split}
    assert boxes == {"a.png": [[0, 0, WIDTH, HEIGHT]], "b.png": [[16, 12, 32, 24]]}
    write(tmp_path / "boxes.csv", f"{HEADER}a.png,0,0,1,1,cell\nb.png,1,2,30,40,cell\n")
    boxes = {one.name: one.boxes.tolist() for split in _open(tmp_path).splits.values() for one in split}
    assert boxes == {"a.png": [[0, 0, 1, 1]], "b.png": [[1, 2, 30, 40]]}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.png,1,2,x,40,cell\n", r"boxes.csv: line 2: xmax is 'x', not a number"),
        ("a.png,1,2\n", r"boxes.csv: line 2: xmax is '', not a number"),
        ("a.png,1,2,30,40,\n", r"boxes.csv: line 2: names no class"),
        (",1,2,30,40,cell\n", r"boxes.csv: line 2: names no image"),
        ("a.png,1,2,30,40,cell\nc.png,1,2,30,40,cell\n", r"boxes.csv: line 3: its image 'c.png' is not there"),
        ("", r"boxes.csv: has no rows"),
        ("a.png,,,,,\n", "no object on any of the 1 images of train"),
    ],
)
def test_what_is_wrong_names_the_line(rows: str, message: str, tmp_path: Path) -> None:
    _two_images(tmp_path)
    write(tmp_path / "boxes.csv", HEADER + rows)
    with pytest.raises(InputError, match=message):
        _open(tmp_path)


def test_an_image_in_two_tables_of_a_split_is_an_error(tmp_path: Path) -> None:
    _two_images(tmp_path)
    for name in ("train.csv", "train_labels.csv"):
        write(tmp_path / name, f"{HEADER}a.png,1,2,30,40,cell\nb.png,1,2,30,40,cell\n")
    with pytest.raises(InputError, match=r"a.png: is annotated twice, in .*train.csv and in .*train_labels.csv; keep"):
        _open(tmp_path)


def test_open_images_without_a_single_image(tmp_path: Path) -> None:
    LAYOUTS["open_images_a_few_of_all"](tmp_path)
    for path in (tmp_path / "val").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"validation-annotations-bbox.csv: none of its 52 images is there \(found"):
        _open(tmp_path)
