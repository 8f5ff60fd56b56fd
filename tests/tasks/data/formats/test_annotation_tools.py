"""What annotation tools have in common: polygons as masks, splits in folders, and what is wrong, with its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backbones import InputError
from tasks.data import open_data
from tests.heads import data_for
from tests.tasks.data.formats import tool_layouts
from tests.tasks.data.formats.examples import CLASSES, EXAMPLES, HEIGHT, WIDTH, save, write
from tests.tasks.data.formats.layouts import LAYOUTS
from tests.tasks.data.formats.tool_folders import (
    IMAGE,
    SQUARE,
    open_folder,
    whole_image,
    write_cvat,
    write_label_studio,
    write_labelme,
    write_supervisely,
)


@pytest.mark.parametrize("layout", ["labelme_splits_in_folders", "label_studio_of_local_files", "cvat_a_file_a_split"])
def test_polygons_become_masks(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    if layout != "labelme_splits_in_folders":  # some of their objects are boxes
        for path in [*tmp_path.glob("*.xml"), *tmp_path.glob("*.json")]:
            path.unlink()
        _polygons_only(tmp_path, layout)
    data: Any = open_data(data_for("masks", path=str(tmp_path)), "masks")
    assert data.classes == ("background", *CLASSES)
    for samples in data.splits.values():
        for sample in samples:
            bright = (sample.read() > 105).all(axis=2)
            assert ((sample.mask.labels() > 0) ^ bright).mean() < 0.03


def _polygons_only(folder: Path, layout: str) -> None:
    for split in ("train", "val", "test"):
        own = [one for one in EXAMPLES if one.split == split]
        if layout.startswith("cvat"):
            shapes = [
                "".join(tool_layouts._cvat_shape(label, box, "polygon") for label, box in one.objects) for one in own
            ]
            images = (
                f'<image id="{k}" name="{one.name}.png" width="{WIDTH}" height="{HEIGHT}">{text}</image>'
                for k, (one, text) in enumerate(zip(own, shapes, strict=True))
            )
            write(folder / f"{split}.xml", f"<annotations>{''.join(images)}</annotations>")
            continue
        tasks = []
        for one in own:
            result = [tool_layouts.a_label_studio_polygon(CLASSES[label], box) for label, box in one.objects]
            tasks.append({"data": {"image": f"{one.name}.jpg"}, "annotations": [{"result": result}]})
        write(folder / f"{split}.json", json.dumps(tasks))


LABELME = tool_layouts.a_labelme_shape("cell", [[8, 8], [24, 24]], "rectangle")
LABEL_STUDIO = tool_layouts.a_label_studio_shape("cell", SQUARE)["value"]
SUPERVISELY = tool_layouts.a_supervisely_object("cell", SQUARE, "rectangle")
ONE_POINT = tool_layouts.a_labelme_shape("cell", [[8, 8]], "circle")


def _replaced(file: str, text: str) -> Callable[[Path], object]:
    return lambda folder: write(folder / file, text)


def _removed(file: str) -> Callable[[Path], object]:
    return lambda folder: (folder / file).unlink()


def _images_renamed(folder: Path) -> None:
    for path in (folder / "img").iterdir():
        path.rename(path.with_name(f"x{path.name}"))


# Who writes the folder, what is done to it, and what is said then.
WRONG: list[tuple[Callable[[Path], object], Callable[[Path], object] | None, str]] = [
    (lambda f: write_labelme(f, LABELME), _replaced("a_11.json", "{"), "a_11.json: not a readable LabelMe file: "),
    (
        lambda f: write_labelme(f, LABELME),
        _removed("a_11.jpg"),
        r"a_11.json: its image 'a_11.jpg' is not there; put it beside the file",
    ),
    (lambda f: write_labelme(f, ONE_POINT), None, r"a_10.json: shape 1 \(cell\): a circle of 1 points"),
    (write_labelme, None, "no object on any of the 2 images of train; there is nothing to learn"),
    (write_cvat, _replaced("annotations.xml", "<annotations>"), "annotations.xml: not a readable CVAT file"),
    (write_cvat, _removed("images/a_11.jpg"), "annotations.xml: its image 'a_11.jpg' is not there"),
    (
        lambda f: write_cvat(f, '<box label="cell" xtl="1" ytl="one" xbr="3" ybr="4"/>'),
        None,
        r"annotations.xml: a_10.jpg: box 1 \(cell\): ytl is 'one', not a number",
    ),
    (
        lambda f: write_cvat(f, '<mask label="cell" rle="1, 2" left="4" top="5" width="3" height="2"/>'),
        None,
        "its run lengths are of 3 pixels, its box of 6",
    ),
    (
        lambda f: write_label_studio(f, LABEL_STUDIO, image_rotation=90),
        None,
        "turned by 90 degrees to annotate it: turn the file so",
    ),
    (
        lambda f: write_label_studio(f, {"rle": whole_image()[:8], "brushlabels": ["cell"]}),
        None,
        r"task 0: a_10.jpg: shape 1 \(cell\): a brush that is no run lengths \(cut short\)",
    ),
    (
        lambda f: write_label_studio(f, {"rle": [0, 0, 0, 60, 57, 27], "brushlabels": ["cell"]}),
        None,
        "60 values where the image has 12288",
    ),
    (
        lambda f: write_supervisely(f, SUPERVISELY),
        _replaced("ann/a_11.jpg.json", '{"objects": []}'),
        "a_11.jpg.json: not a readable Supervisely annotation: Object missing required field `size`",
    ),
    (
        lambda f: write_supervisely(f, SUPERVISELY),
        _removed("img/a_11.jpg"),
        "a_11.jpg.json: there is no image of this name",
    ),
    (lambda f: write_supervisely(f, SUPERVISELY), _images_renamed, "looks like Supervisely, but img has no image for"),
]


@pytest.mark.parametrize(("make", "change", "message"), WRONG, ids=[message[:40] for _, _, message in WRONG])
def test_what_is_wrong_is_one_line_with_its_place(
    make: Callable[[Path], object], change: Callable[[Path], object] | None, message: str, tmp_path: Path
) -> None:
    make(tmp_path)
    if change is not None:
        change(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        open_folder(tmp_path, "boxes")
    assert "\n" not in str(error.value)


def test_splits_in_words_of_folders(tmp_path: Path) -> None:
    for place, name in (("train2017", "a_10"), ("val2017", "a_11"), ("test_images", "a_12")):
        save(tmp_path / place / f"{name}.jpg", IMAGE.pixels())
        shape = tool_layouts.a_labelme_shape("cell", [[8, 8], [24, 24]], "rectangle")
        write(tmp_path / place / f"{name}.json", tool_layouts.a_labelme_file([shape], f"{name}.jpg"))
    assert {split: list(samples.names) for split, samples in open_folder(tmp_path, "boxes").splits.items()} == {
        "train": ["a_10.jpg"],
        "val": ["a_11.jpg"],
        "test": ["a_12.jpg"],
    }


@pytest.mark.parametrize("layout", ["labelme_splits_in_folders", "voc_splits_in_folders_of_both"])
def test_val_and_valid_are_one_split(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    write(tmp_path / "valid/notes.txt", "")
    with pytest.raises(InputError, match="val/ and valid/ are both the val split; keep one"):
        open_folder(tmp_path, "boxes")
