"""The examples as annotation tools export them, and as tables."""

import base64
import io
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.tasks.data.formats.examples import (
    CLASSES,
    COUNTS,
    EXAMPLES,
    HEIGHT,
    WIDTH,
    Box,
    Example,
    only,
    save,
    write,
    write_images,
)


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _corners(box: Box) -> list[list[int]]:
    x0, y0, x1, y1 = box
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


# LabelMe


def a_labelme_shape(label: str, points: list[list[int]], kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}} | more


def a_labelme_file(shapes: Iterable[dict[str, Any]], image: str) -> str:
    content = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": image, "imageData": None}
    return json.dumps(content | {"imageHeight": HEIGHT, "imageWidth": WIDTH})


def _labelme(folder: Path, images: str, files: str, before: str = "", suffix: str = ".jpg") -> None:
    write_images(folder, images, suffix)
    for one in EXAMPLES:
        shapes = (a_labelme_shape(CLASSES[label], _corners(box)) for label, box in one.objects)
        path = folder / files.format(split=one.split) / f"{one.name}.json"
        write(path, a_labelme_file(shapes, f"{before.format(split=one.split)}{one.name}{suffix}"))


def labelme_beside_images(folder: Path) -> None:
    _labelme(folder, ".", ".")


def labelme_splits_in_folders(folder: Path) -> None:
    _labelme(folder, "{split}", "{split}", suffix=".png")


def labelme_files_apart(folder: Path) -> None:
    _labelme(folder, "images/{split}", "labels/{split}", "..\\..\\images\\{split}\\")


def labelme_from_another_machine(folder: Path) -> None:
    _labelme(folder, "{split}/images", "{split}/json", "C:\\Users\\me\\Desktop\\")


def labelme_of_many_shapes(folder: Path) -> None:
    """Rectangles from any corner, masks, four corners, shapes in groups; points and lines beside them."""
    write_images(folder, "{split}")
    for one in EXAMPLES:
        shapes = [a_labelme_shape("a_point", [[1, 1]], "point"), a_labelme_shape("a_line", [[1, 1], [9, 9]], "line")]
        for number, (label, (x0, y0, x1, y1)) in enumerate(one.objects):
            mask = base64.b64encode(png(np.full((y1 - y0, x1 - x0), 255, np.uint8))).decode()
            middle = (x0 + x1) // 2
            parts = ([x0, y0, middle, y1], [middle, y0, x1, y1])
            marked = {
                0: [a_labelme_shape(CLASSES[label], [[x1, y0], [x0, y1]], "rectangle")],
                1: [a_labelme_shape(CLASSES[label], [[x0, y0], [x1 - 1, y1 - 1]], "mask", mask=mask)],
                2: [a_labelme_shape(CLASSES[label], _corners((x0, y0, x1, y1)), "oriented_rectangle")],
                3: [
                    a_labelme_shape(CLASSES[label], _corners(tuple(part)), group_id=number)  # type: ignore[arg-type]
                    for part in parts
                ],
            }
            shapes += marked[(number + ord(one.name[-1])) % 4]
        write(folder / one.split / f"{one.name}.json", a_labelme_file(shapes, f"{one.name}.jpg"))


# CVAT


def _cvat_shape(label: int, box: Box, kind: str) -> str:
    x0, y0, x1, y1 = box
    name = f'label="{CLASSES[label]}" source="manual" occluded="0"'
    if kind == "polygon":
        return f'<polygon {name} points="{";".join(f"{x},{y}" for x, y in _corners(box))}" z_order="0"/>'
    if kind == "mask":
        place = f'left="{x0}" top="{y0}" width="{x1 - x0}" height="{y1 - y0}"'
        return f'<mask {name} rle="0, {(x1 - x0) * (y1 - y0)}" {place} z_order="0"/>'
    return f'<box {name} xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}" z_order="0"/>'


def _cvat_image(number: int, one: Example, name: str, more: str = "") -> str:
    shapes = "".join(
        _cvat_shape(label, box, ("box", "polygon", "mask")[(number + k) % 3])
        for k, (label, box) in enumerate(one.objects)
    )
    return f'<image id="{number}" name="{name}" {more} width="{WIDTH}" height="{HEIGHT}">{shapes}</image>'


def _cvat_file(images: Iterable[str]) -> str:
    labels = "".join(f"<label><name>{name}</name></label>" for name in (*CLASSES, "unused"))
    meta = f"<meta><task><name>cells</name><labels>{labels}</labels></task></meta>"
    content = f"<version>1.1</version>{meta}{''.join(images)}"
    return f'<?xml version="1.0" encoding="utf-8"?><annotations>{content}</annotations>'


def cvat_project_with_subsets(folder: Path) -> None:
    write_images(folder, "images/{split}")
    subsets = {"train": "Train", "val": "Validation", "test": "Test"}
    images = (
        _cvat_image(k, one, f"{one.name}.jpg", f'subset="{subsets[one.split]}"') for k, one in enumerate(EXAMPLES)
    )
    write(folder / "annotations.xml", _cvat_file(images))


def cvat_a_file_a_split(folder: Path) -> None:
    write_images(folder, "images", ".png")
    for split in COUNTS:
        images = (_cvat_image(k, one, f"images/{one.name}.png") for k, one in enumerate(only(split)))
        write(folder / f"{split}.xml", _cvat_file(images))


def cvat_one_task(folder: Path) -> None:
    write_images(folder, "images")
    write(
        folder / "annotations.xml", _cvat_file(_cvat_image(k, one, f"{one.name}.jpg") for k, one in enumerate(EXAMPLES))
    )


def cvat_video(folder: Path) -> None:
    tracks = []
    for frame, one in enumerate(EXAMPLES):
        save(folder / "images" / f"frame_{frame:06d}.PNG", one.pixels())
        for label, box in one.objects:
            state = 'frame="{}" keyframe="1" outside="{}"'
            shapes = [_cvat_shape(label, box, "box").replace("<box", f"<box {state.format(frame, 0)}", 1)]
            shapes += [_cvat_shape(label, box, "box").replace("<box", f"<box {state.format(frame + 1, 1)}", 1)]
            tracks.append(f'<track id="{len(tracks)}" label="{CLASSES[label]}">{"".join(shapes)}</track>')
    write(folder / "annotations.xml", _cvat_file(tracks))


# Label Studio


def a_label_studio_shape(label: str, box: Box) -> dict[str, Any]:
    """A rectangle, in percent."""
    x0, y0, x1, y1 = box
    place = {"x": 100 * x0 / WIDTH, "y": 100 * y0 / HEIGHT}
    size = {"width": 100 * (x1 - x0) / WIDTH, "height": 100 * (y1 - y0) / HEIGHT}
    value = place | size | {"rotation": 0, "rectanglelabels": [label]}
    return {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "value": value}


def a_label_studio_polygon(label: str, box: Box) -> dict[str, Any]:
    points = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in _corners(box)]
    value = {"points": points, "closed": True, "polygonlabels": [label]}
    return {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "value": value}


def _task(number: int, one: Example, image: str) -> dict[str, Any]:
    shapes = [
        (a_label_studio_shape, a_label_studio_polygon)[(number + k) % 2](CLASSES[label], box)
        for k, (label, box) in enumerate(one.objects)
    ]
    result = [
        {"id": f"r{k}", "type": "rectanglelabels", "from_name": "label", "to_name": "image"} | shape
        for k, shape in enumerate(shapes)
    ]
    result.append({"id": "c", "type": "choices", "from_name": "quality", "value": {"choices": ["good"]}})
    given = {"id": number, "was_cancelled": False, "result": result, "updated_at": "2026-01-02"}
    skipped = {"id": 1000 + number, "was_cancelled": True, "result": []}
    return {"id": number, "data": {"image": image, "patient": "x"}, "annotations": [skipped, given], "predictions": []}


def label_studio_of_uploads(folder: Path) -> None:
    write_images(folder, "images")
    tasks = [_task(k, one, f"/data/upload/3/{k:08x}-{one.name}.jpg") for k, one in enumerate(EXAMPLES)]
    tasks.append(_task(99, EXAMPLES[0], "/data/upload/3/not-there.jpg") | {"annotations": []})
    write(folder / "project-3-at-2026-01-02-10-11-abcdef12.json", json.dumps(tasks))


def label_studio_of_local_files(folder: Path) -> None:
    write_images(folder, "{split}")
    tasks = [
        _task(k, one, f"/data/local-files/?d=cells%2F{one.split}/{one.name}.jpg") for k, one in enumerate(EXAMPLES)
    ]
    write(folder / "export.json", json.dumps(tasks, indent=2))


def label_studio_min(folder: Path) -> None:
    write_images(folder, "images", ".png")
    for split in COUNTS:
        tasks = []
        for k, one in enumerate(only(split)):
            shapes = [a_label_studio_shape(CLASSES[label], box) for label, box in one.objects]
            flat = [shape.pop("value") | shape for shape in shapes]
            tasks.append({"image": f"s3://bucket/cells/{one.name}.png", "id": k, "label": flat, "annotator": 1})
        write(folder / f"{split}.json", json.dumps(tasks))


# Supervisely


def a_supervisely_object(label: str, box: Box, kind: str) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    content: dict[str, Any] = {"id": 1, "classTitle": label, "geometryType": kind, "tags": []}
    if kind == "bitmap":
        data = base64.b64encode(zlib.compress(png(np.full((y1 - y0, x1 - x0), 255, np.uint8)))).decode()
        return content | {"bitmap": {"data": data, "origin": [x0, y0]}}
    # A rectangle's last pixels belong to it.
    points = [[x0, y0], [x1 - 1, y1 - 1]] if kind == "rectangle" else _corners(box)
    return content | {"points": {"exterior": points, "interior": []}}


def a_supervisely_file(objects: Iterable[dict[str, Any]], *tags: str) -> str:
    size = {"height": HEIGHT, "width": WIDTH}
    content = {"description": "", "tags": [{"name": tag, "value": None} for tag in tags], "size": size}
    return json.dumps(content | {"objects": list(objects)})


def _supervisely(folder: Path, dataset: str, name: str, *, tagged: bool = False) -> None:
    write_images(folder, f"{dataset}/img")
    for one in EXAMPLES:
        kinds = ("rectangle", "polygon", "bitmap")
        objects = (
            a_supervisely_object(CLASSES[label], box, kinds[(ord(one.name[-1]) + k) % 3])
            for k, (label, box) in enumerate(one.objects)
        )
        path = folder / dataset.format(split=one.split) / "ann" / name.format(name=one.name)
        write(path, a_supervisely_file(objects, *([one.split] if tagged else [])))
    classes = [{"title": name, "shape": "any", "color": "#FF0000"} for name in CLASSES]
    write(folder / "meta.json", json.dumps({"classes": classes, "tags": []}))


def supervisely_datasets(folder: Path) -> None:
    _supervisely(folder, "{split}", "{name}.jpg.json")


def supervisely_tags_in_a_project(folder: Path) -> None:
    _supervisely(folder / "project", "ds0", "{name}.json", tagged=True)


# Tables


def _rows(split: str) -> Iterable[tuple[Example, str, Box]]:
    return ((one, CLASSES[label], box) for one in only(split) for label, box in one.objects)


def _open_images_row(image: str, label: str, box: Box) -> str:
    x0, y0, x1, y1 = box
    shares = ",".join(f"{value:.6f}" for value in (x0 / WIDTH, x1 / WIDTH, y0 / HEIGHT, y1 / HEIGHT))
    return f"{image},xclick,{label},1,{shares},0,0,0,0,0\n"


_HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)
_CODES = {"cell": "/m/0abc", "nucleus": "/m/0def"}


def open_images_a_few_of_all(folder: Path) -> None:
    """Tables that list images which are not here, as theirs do."""
    names = {
        "train": "oidv6-train-annotations-bbox",
        "val": "validation-annotations-bbox",
        "test": "test-annotations-bbox",
    }
    write_images(folder, "{split}")
    for split, name in names.items():
        rows = [_open_images_row(one.name, _CODES[label], box) for one, label, box in _rows(split)]
        absent = [_open_images_row(f"{k:016x}", "/m/0other", (1, 1, 9, 9)) for k in range(50)]
        write(folder / f"{name}.csv", _HEADER + "".join(absent + rows))
    write(folder / "class-descriptions-boxable.csv", "".join(f"{code},{name}\n" for name, code in _CODES.items()))


def open_images_of_a_zoo(folder: Path) -> None:
    write_images(folder, "{split}/data")
    for split in COUNTS:
        rows = [_open_images_row(one.name, _CODES[label], box) for one, label, box in _rows(split)]
        write(folder / split / "labels/detections.csv", _HEADER + "".join(rows))
        write(folder / split / "metadata/classes.csv", "".join(f"{code},{name}\n" for name, code in _CODES.items()))


def csv_as_simple_as_can_be(folder: Path) -> None:
    write_images(folder, "images")
    rows = [(one, label, box) for split in COUNTS for one, label, box in _rows(split)]
    lines = (f"{one.name}.jpg,{x0},{y0},{x1},{y1},{label}\n" for one, label, (x0, y0, x1, y1) in rows)
    write(folder / "boxes.csv", "image,xmin,ymin,xmax,ymax,class\n" + "".join(lines))


def csv_a_table_in_each_split(folder: Path) -> None:
    write_images(folder, "{split}")
    for split, place in (("train", "train"), ("val", "val"), ("test", "test")):
        lines = (
            f"{one.name}.jpg,{WIDTH},{HEIGHT},{label},{x0},{y0},{x1},{y1}\n"
            for one, label, (x0, y0, x1, y1) in _rows(split)
        )
        write(folder / place / "_annotations.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n" + "".join(lines))


def csv_labels_of_splits(folder: Path) -> None:
    write_images(folder, "images/{split}", ".png")
    for split in COUNTS:
        lines = (f"{label},{x0},{y0},{x1},{y1},{one.name}\n" for one, label, (x0, y0, x1, y1) in _rows(split))
        write(folder / f"{split}_labels.csv", "Class_Name,X_Min,Y_Min,X_Max,Y_Max,Image_ID\n" + "".join(lines))


def csv_without_a_header(folder: Path) -> None:
    write_images(folder, "data/{split}")
    for split in COUNTS:
        lines = (
            f"/home/me/data/{split}/{one.name}.jpg,{x0},{y0},{x1},{y1},{label}\n"
            for one, label, (x0, y0, x1, y1) in _rows(split)
        )
        write(folder / f"{split}.csv", "".join(lines))
    write(folder / "classes.csv", "".join(f"{name},{k}\n" for k, name in enumerate(CLASSES)))


def csv_with_a_column_of_splits(folder: Path) -> None:
    """From a spreadsheet: a mark before the text, semicolons, shares of the images."""
    write_images(folder, "images")
    lines = (
        f"{split};images/{one.name}.jpg;{label};{x0 / WIDTH};{y0 / HEIGHT};{x1 / WIDTH};{y1 / HEIGHT}\n"
        for split in COUNTS
        for one, label, (x0, y0, x1, y1) in _rows(split)
    )
    write(folder / "all.csv", "\ufeffsplit;path;label;x1;y1;x2;y2\n" + "".join(lines))
