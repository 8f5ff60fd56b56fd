"""Tables and LabelMe."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.tasks.data.reports.base import CELL, HEIGHT, WIDTH, add, save, write


def _csv(text: str, *, count: int = 5, encoding: str = "utf-8") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for number in range(count):
            save(folder / f"images/{number}.jpg")
        write(folder / "boxes.csv", text.encode(encoding))

    return make


def _rows(line: str, header: str = "image,xmin,ymin,xmax,ymax,class") -> str:
    return header + "\n" + "".join(line.format(k=k) + "\n" for k in range(5))


FIVE = {"objects": 5, "images": 5, "boxes": [list(CELL)]}
add("CSV", "boxes", _csv(_rows("{k}.jpg,4,6,20,22,cell")), opens=FIVE)
add(
    "CSV with semicolons", "boxes", _csv(_rows("{k}.jpg;4;6;20;22;cell", "image;xmin;ymin;xmax;ymax;class")), opens=FIVE
)
add("CSV in shares", "boxes", _csv(_rows("{k}.jpg,0.1,0.2,0.5,0.7333333,cell")), opens={"objects": 5, "images": 5})
add(
    "CSV, mostly shares",
    "boxes",
    _csv(_rows("{k}.jpg,0.1,0.2,0.5,0.7,cell") + "0.jpg,4,6,20,22,cell\n"),
    refused="shares",
)
add(
    "CSV, a missing image",
    "boxes",
    _csv(_rows("{k}.jpg,4,6,20,22,cell") + "9.jpg,4,6,20,22,cell\n"),
    refused="'9.jpg' is not there",
)
add(
    "CSV, two paths of one image",
    "boxes",
    _csv(_rows("a/{k}.jpg,4,6,20,22,cell") + "b/0.jpg,4,6,20,22,cell\n"),
    refused="both lead to",
)
add("CSV, empty rows", "boxes", _csv(_rows("{k}.jpg,4,6,20,22,cell") + ",,,,,\n\n"), opens=FIVE)
add(
    "CSV, an image without objects",
    "boxes",
    _csv(_rows("{k}.jpg,4,6,20,22,cell") + "5.jpg,,,,,\n", count=6),
    opens={"objects": 5, "images": 6},
)
add("CSV, no number", "boxes", _csv(_rows("{k}.jpg,4,6,20,x,cell")), refused="line 2: ymax is 'x'")
add("CSV without corners", "boxes", _csv(_rows("{k}.jpg,cell", "image,class")), refused="none for xmin")
add(
    "CSV in UTF-16", "boxes", _csv(_rows("{k}.jpg,4,6,20,22,zähler"), encoding="utf-16"), opens={"classes": ("zähler",)}
)
add(
    "CSV in Latin-1", "boxes", _csv(_rows("{k}.jpg,4,6,20,22,Größe"), encoding="latin-1"), opens={"classes": ("Größe",)}
)
add(
    "CSV beside the images of another folder",
    "boxes",
    lambda f: (_csv(_rows("{k}.jpg,4,6,20,22,cell"))(f), [save(f / f"masks/{k}.jpg") for k in range(5)]),
    opens=FIVE,
)


def _labelme(*shapes: dict[str, Any], **more: Any) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for number in range(5):
            save(folder / f"{number}.jpg")
            content = {"shapes": list(shapes), "imagePath": f"{number}.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH}
            write(folder / f"{number}.json", json.dumps(content | more))

    return make


def _shape(label: Any = "cell", kind: str = "rectangle", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": [[4, 6], [20, 22]], "shape_type": kind, "group_id": None, **more}


add("LabelMe", "boxes", _labelme(_shape()), opens=FIVE)
add("LabelMe, a label that is a number", "boxes", _labelme(_shape(3)), opens={**FIVE, "classes": ("3",)})
add(
    "LabelMe, groups called nothing",
    "boxes",
    _labelme(_shape(group_id=""), _shape(group_id="", points=[[22, 4], [36, 20]])),
    opens={"objects": 10},
)
add("LabelMe, lines alone", "boxes", _labelme(_shape(kind="line")), refused="no object")
add("LabelMe, lines besides", "boxes", _labelme(_shape(), _shape(kind="line")), said="shape-no-area")
add("LabelMe, a shape without a label", "boxes", _labelme(_shape(), _shape(None)), said="shape-unlabelled")
add("LabelMe as masks", "masks", _labelme(_shape()), opens={"classes": ("background", "cell"), "labels": {0, 1}})
add(
    "LabelMe, other JSON beside",
    "boxes",
    lambda f: (_labelme(_shape())(f), write(f / "config.json", '{"a": 1}')),
    opens=FIVE,
)
