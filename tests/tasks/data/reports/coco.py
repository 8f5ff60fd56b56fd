"""COCO files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.tasks.data.reports.base import CELL, HEIGHT, OTHER, WIDTH, add, save, write


def _coco(
    edit: Callable[[dict[str, Any]], object] | None = None,
    *,
    images: str = "train/{name}.jpg",
    file: str = "annotations/instances_train.json",
    encoding: str = "utf-8",
    polygons: bool = True,
    raw: Callable[[str], str] = lambda text: text,
    also: Callable[[Path], object] | None = None,
) -> Callable[[Path], None]:
    """Ten images of train, two objects each, and a val of its own."""

    def make(folder: Path) -> None:
        for split, count in (("train", 10), ("val", 2)):
            content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
            content["categories"] = [{"id": 1, "name": "cell"}, {"id": 2, "name": "other"}]
            for number in range(1, count + 1):
                name = f"{split[0]}{number:02}"
                save(folder / images.replace("train", split).format(name=name))
                content["images"].append({"id": number, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT})
                for label, (x0, y0, x1, y1) in enumerate((CELL, OTHER), start=1):
                    item = {"id": len(content["annotations"]) + 1, "image_id": number, "category_id": label}
                    item |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
                    if polygons:
                        item["segmentation"] = [[x0, y0, x1, y0, x1, y1, x0, y1]]
                    content["annotations"].append(item)
            if edit is not None and split == "train":
                edit(content)
            write(folder / file.replace("train", split), raw(json.dumps(content)).encode(encoding))
        if also is not None:
            also(folder)

    return make


def _each(key: str, change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], None]:
    def edit(content: dict[str, Any]) -> None:
        for item in content[key]:
            change(item)

    return edit


def _first(key: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content[key][0].update(values)


def _without(*keys: str) -> Callable[[dict[str, Any]], None]:
    def edit(content: dict[str, Any]) -> None:
        for item in content["annotations"]:
            for key in keys:
                item.pop(key, None)

    return edit


ALL = {"objects": 24, "images": 12, "classes": ("cell", "other"), "boxes": [list(CELL), list(OTHER)]}
add("COCO as it is", "boxes", _coco(), opens=ALL)
add("COCO without polygons as masks", "masks", _coco(polygons=False), refused="no polygon")
add("COCO without polygons for mask_rcnn", "polygons", _coco(polygons=False), refused="no polygon")
for empty in ([], [[]], None, {}, [[1, 1, 2, 2]]):
    add(
        f"COCO with one polygon {json.dumps(empty)}",
        "polygons",
        _coco(_first("annotations", segmentation=empty)),
        refused="1 of 20 objects in train have no polygon",
    )
add("COCO without objects in train", "boxes", _coco(lambda c: c["annotations"].clear()), refused="no object")
add(
    "COCO without objects in val",
    "boxes",
    _coco(also=lambda f: _emptied(f / "annotations/instances_val.json")),
    said="split-without-objects",
)
add(
    "COCO of crowds alone",
    "boxes",
    _coco(_each("annotations", lambda item: item.update(iscrowd=1))),
    refused="no object",
)
for key in ("area", "iscrowd", "id"):
    add(f"COCO without {key}", "boxes", _coco(_without(key)), opens=ALL)
add("COCO without bbox", "boxes", _coco(_without("bbox")), opens=ALL)
add(
    "COCO, ids of images as text in annotations",
    "boxes",
    _coco(_each("annotations", lambda i: i.update(image_id=str(i["image_id"])))),
    opens=ALL,
)
add(
    "COCO, ids of images as text in images",
    "boxes",
    _coco(_each("images", lambda i: i.update(id=str(i["id"])))),
    opens=ALL,
)
add(
    "COCO, ids with points",
    "boxes",
    _coco(raw=lambda text: text.replace('"image_id": 3,', '"image_id": 3.0,')),
    opens=ALL,
)
add(
    "COCO, categories as text",
    "boxes",
    _coco(_each("annotations", lambda i: i.update(category_id=str(i["category_id"])))),
    opens=ALL,
)
add(
    "COCO, sizes as text",
    "boxes",
    _coco(_each("images", lambda i: i.update(width=str(WIDTH), height=str(HEIGHT)))),
    opens=ALL,
)
add("COCO, sizes of 0", "boxes", _coco(_each("images", lambda i: i.update(width=0, height=0))), opens=ALL)
add("COCO, iscrowd false", "boxes", _coco(_each("annotations", lambda i: i.update(iscrowd=False))), opens=ALL)
add("COCO with a mark before it", "boxes", _coco(encoding="utf-8-sig"), opens=ALL)
add(
    "COCO, names with backslashes",
    "boxes",
    _coco(_each("images", lambda i: i.update(file_name=f"train\\{i['file_name']}"))),
    opens=ALL,
)
add(
    "COCO, names from the data folder",
    "boxes",
    _coco(_each("images", lambda i: i.update(file_name=f"train/{i['file_name']}"))),
    opens=ALL,
)
add(
    "COCO, names of another machine",
    "boxes",
    _coco(_each("images", lambda i: i.update(file_name=f"/home/me/x/train/{i['file_name']}"))),
    opens=ALL,
)
add(
    "COCO, names without suffix",
    "boxes",
    _coco(_each("images", lambda i: i.update(file_name=i["file_name"][:-4]))),
    opens=ALL,
)
add(
    "COCO, names in capitals",
    "boxes",
    _coco(_each("images", lambda i: i.update(file_name=i["file_name"].upper()))),
    opens=ALL,
)
add(
    "COCO, decomposed names",
    "boxes",
    _coco(
        _first("images", file_name="z\u00e4hler.jpg"),
        also=lambda f: (f / "train/t01.jpg").rename(f / "train/za\u0308hler.jpg"),
    ),
    opens={"objects": 24, "images": 12},
)
add(
    "COCO, a name that climbs out",
    "boxes",
    _coco(_first("images", file_name="../../out.jpg"), also=lambda f: save(f.parent / "out.jpg")),
    refused="outside",
)
add(
    "COCO, an image twice",
    "boxes",
    _coco(lambda c: c["images"].append(dict(c["images"][0], id=99))),
    refused="share the file name",
)
add(
    "COCO, an annotation of no image",
    "boxes",
    _coco(_first("annotations", image_id=77)),
    refused="77, which is not listed",
)
add(
    "COCO, an annotation of no category",
    "boxes",
    _coco(_first("annotations", category_id=9)),
    refused="9, which is not listed",
)
add("COCO, two categories of one name", "boxes", _coco(_first("categories", name="other")), refused="two categories")
add("COCO, a box of no number", "boxes", _coco(raw=lambda t: t.replace("[4, 6,", "[NaN, 6,", 1)), refused="no numbers")
add("COCO, a box beyond its image", "boxes", _coco(_first("annotations", bbox=[100, 5, 9, 9])), said="box-outside")
add(
    "COCO, a missing image",
    "boxes",
    _coco(also=lambda f: (f / "train/t03.jpg").unlink()),
    refused="t03.jpg: the image is missing",
)
add(
    "COCO, a broken image",
    "boxes",
    _coco(also=lambda f: write(f / "train/t03.jpg", b"\xff\xd8no")),
    refused="t03.jpg: not a readable",
)
add("COCO, not JSON", "boxes", _coco(raw=lambda text: text[:-9]), refused="JSON|COCO")
add(
    "COCO results for annotations",
    "boxes",
    lambda f: (
        save(f / "a.jpg"),
        write(f / "results.json", '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]'),
    ),
    refused="list of detections",
)
add(
    "COCO without categories",
    "boxes",
    lambda f: (save(f / "a.jpg"), write(f / "x.json", '{"images": [], "annotations": []}')),
    refused="categories",
)
add(
    "COCO, one class only crowds in train",
    "boxes",
    _coco(_each("annotations", lambda i: i.update(iscrowd=int(i["category_id"] == 2)))),
    opens={"absent": ["other"]},
)
add(
    "COCO, a class that only val has",
    "boxes",
    _coco(
        lambda c: (c["categories"].pop(), c.update(annotations=[i for i in c["annotations"] if i["category_id"] == 1]))
    ),
    refused="'other'",
)
for file in ("train.json", "annotations/train_coco.json", "train/_annotations.coco.json"):
    add(f"COCO in {file}", "boxes", _coco(file=file), opens=ALL)
add("COCO, images a level down", "boxes", _coco(images="data/images/train/{name}.jpg"), opens=ALL)


def _emptied(file: Path) -> None:
    content = json.loads(file.read_text())
    write(file, json.dumps(content | {"annotations": []}))
