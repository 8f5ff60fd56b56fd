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
    with pytest.raises(InputError, match=r"a.png: is annotated in .*train.csv and in .*train_labels.csv; keep"):
        _open(tmp_path)


def test_an_image_in_the_tables_of_two_splits_is_an_error(tmp_path: Path) -> None:
    _two_images(tmp_path)
    write(tmp_path / "labels.csv", f"{HEADER}a.png,1,2,30,40,cell\nb.png,1,2,30,40,cell\n")
    write(tmp_path / "test_labels.csv", f"{HEADER}b.png,1,2,30,40,cell\n")
    with pytest.raises(InputError, match=r"b.png: is annotated in .*labels.csv and in .*test_labels.csv; keep one"):
        _open(tmp_path)


def test_open_images_without_a_single_image(tmp_path: Path) -> None:
    LAYOUTS["open_images_a_few_of_all"](tmp_path)
    for path in (tmp_path / "val").iterdir():
        path.unlink()
    assert {split: len(samples) for split, samples in _open(tmp_path).splits.items()} == {
        "train": 4,
        "val": 4,
        "test": 2,
    }
    for path in [*(tmp_path / "train").iterdir(), *(tmp_path / "test").iterdir()]:
        path.unlink()
    with pytest.raises(InputError, match=r"annotations-bbox.csv: none of its images is there \(found"):
        _open(tmp_path)


@pytest.mark.parametrize(
    ("table", "boxes"),
    [
        ("image,xmin,ymin,xmax,ymax\na.png,1,2,30,40\nb.png,1,2,9,9\n", {"a": [1, 2, 30, 40], "b": [1, 2, 9, 9]}),
        (
            "image_id,class_name,x_min,y_min,x_max,y_max\na.png,c,1,2,30,40\nb.png,No finding,,,,\n",
            {"a": [1, 2, 30, 40]},
        ),
        ("image,x1,y1,x2,y2,label\na.png,1,2,30,40,c\nb.png,NaN,nan,NaN,NaN,none\n,,,,,\n", {"a": [1, 2, 30, 40]}),
        ("image,x0,y0,x1,y1,label\na.png,1,2,30,40,c\nb.png,1,2,9,9,c\n", {"a": [1, 2, 30, 40], "b": [1, 2, 9, 9]}),
        (
            "image,x1,y1,x2,y2,x3,y3,x4,y4,label\na.png,1,2,30,2,30,40,1,40,c\nb.png,5,1,9,5,5,9,1,5,c\n",
            {"a": [1, 2, 30, 40], "b": [1, 1, 9, 9]},
        ),
        ("sep=;\nimage;xmin;ymin;xmax;ymax;class\na.png;0,25;0,5;0,5;1;c\nb.png;;;;;\n", {"a": [16, 24, 32, 48]}),
        ("\n\nimage\txmin\tymin\txmax\tymax\tclass\na.png\t1\t2\t30\t40\tc\nb.png\t\t\t\t\t\n", {"a": [1, 2, 30, 40]}),
        (
            "filename,image,class,class_name,width,height,xmin,ymin,xmax,ymax\n"
            "a.png,0,7,c,29,38,1,2,30,40\nb.png,1,7,c,0,0,1,2,9,9\n",
            {"a": [1, 2, 30, 40], "b": [1, 2, 9, 9]},
        ),
        (
            "image_id,label_name,xmin,ymin,xmax,ymax\na,c,1,2,30,40\nb,c,1,2,9,9\n",
            {"a": [1, 2, 30, 40], "b": [1, 2, 9, 9]},
        ),
        (
            "ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/1,0.25,0.5,0.5,1\nb,/m/1,0,1.0000001,0,1\n",
            {"a": [16, 24, 32, 48], "b": [0, 0, 64, 48]},
        ),
    ],
)
def test_tables_as_people_write_them(table: str, boxes: dict[str, list[float]], tmp_path: Path) -> None:
    _two_images(tmp_path)
    write(tmp_path / "boxes.csv", table)
    data = _open(tmp_path)
    found = {one.name[0]: one.boxes for split in data.splits.values() for one in split}
    assert found.keys() == {"a", "b"}
    for name, box in found.items():
        assert np.allclose(box.reshape(-1), boxes.get(name, []), atol=1e-4)
    assert data.classes[0] in ("c", "object", "/m/1")


def test_shares_with_some_pixels_among_them_are_an_error(tmp_path: Path) -> None:
    _two_images(tmp_path)
    rows = "a.png,0.1,0.1,0.5,0.5,c\n" * 3 + "b.png,1,2,30,40,c\n"
    write(tmp_path / "boxes.csv", HEADER + rows)
    with pytest.raises(InputError, match=r"boxes.csv: line 5 has a corner beyond 1, but most of the table"):
        _open(tmp_path)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Größe", "cp1252"),
        ("ÄÖ", "cp1252"),
        ("細胞".replace("細", "细"), "gb2312"),
        ("zähler", "utf-8-sig"),
        ("ñandú", "utf-16"),
    ],
)
def test_tables_in_older_encodings(name: str, encoding: str, tmp_path: Path) -> None:
    _two_images(tmp_path)
    rows = f"a.png,1,2,30,40,{name}\r\nb.png,1,2,30,40,{name}\r\n"
    (tmp_path / "boxes.csv").write_bytes((HEADER.replace("\n", "\r\n") + rows).encode(encoding))
    assert _open(tmp_path).classes == (name,)
