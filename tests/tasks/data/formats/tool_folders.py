"""Folders of annotation tools with two images that have the given shapes, and what is read of them."""

import json
from pathlib import Path
from typing import Any

from tasks.data import DataSet, Findings, Sample, open_data
from tests.heads import data_for
from tests.tasks.data.formats import tool_layouts
from tests.tasks.data.formats.examples import EXAMPLES, HEIGHT, WIDTH, save, write

SIZE = (WIDTH, HEIGHT)
IMAGE = EXAMPLES[0]
SQUARE = (8, 8, 24, 24)


def open_folder(folder: Path, kind: Any = "polygons", findings: Findings | None = None) -> DataSet[Sample]:
    return open_data(data_for(kind, path=str(folder), val_fraction=0.5), kind, findings=findings)


def first_of(data: DataSet[Sample]) -> Sample:
    (sample, *_) = [one for samples in data.splits.values() for one in samples if one.name.startswith(IMAGE.name)]
    return sample


def boxes_in(folder: Path) -> dict[str, list[list[float]]]:
    data = open_folder(folder, "boxes")
    return {one.name: one.boxes.round(3).tolist() for samples in data.splits.values() for one in samples}


def write_labelme(folder: Path, *shapes: dict[str, Any]) -> None:
    for name in ("a_10", "a_11"):
        save(folder / f"{name}.jpg", IMAGE.pixels())
        write(folder / f"{name}.json", tool_layouts.a_labelme_file(shapes, f"{name}.jpg"))


def write_cvat(folder: Path, *shapes: str) -> None:
    images = ""
    for number, name in enumerate(("a_10", "a_11")):
        save(folder / "images" / f"{name}.jpg", IMAGE.pixels())
        size = f'width="{WIDTH}" height="{HEIGHT}"'
        images += f'<image id="{number}" name="{name}.jpg" {size}>{"".join(shapes)}</image>'
    write(folder / "annotations.xml", f"<annotations><version>1.1</version>{images}</annotations>")


def write_label_studio(folder: Path, *values: dict[str, Any], **more: Any) -> None:
    result = [
        {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "value": value} | more
        for value in values
    ]
    tasks = []
    for number, name in enumerate(("a_10", "a_11")):
        save(folder / f"{name}.jpg", IMAGE.pixels())
        tasks.append({"id": number, "data": {"image": f"/x/{name}.jpg"}, "annotations": [{"result": result}]})
    write(folder / "export.json", json.dumps(tasks))


def write_supervisely(folder: Path, *objects: dict[str, Any]) -> None:
    for name in ("a_10", "a_11"):
        save(folder / "img" / f"{name}.jpg", IMAGE.pixels())
        write(folder / "ann" / f"{name}.jpg.json", tool_layouts.a_supervisely_file(objects))


def whole_image() -> list[int]:
    """One run of 255 over all values: 32 bits of their number, 8 bits a value, lengths of 16 bits, one run."""
    count = WIDTH * HEIGHT * 4
    bits = f"{count:032b}" + f"{7:05b}" + f"{15:04b}" * 4 + "1" + "00" + f"{count - 1:016b}" + f"{255:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
