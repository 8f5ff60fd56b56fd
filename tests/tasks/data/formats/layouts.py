"""Data sets laid out as people have them: a function each, which writes the examples into a folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.tasks.data.formats import tool_layouts
from tests.tasks.data.formats.examples import (
    CLASSES,
    COUNTS,
    EXAMPLES,
    HEIGHT,
    WIDTH,
    Example,
    only,
    save,
    write,
    write_images,
)

# Pascal VOC


def _xml(one: Example, suffix: str = ".jpg") -> str:
    objects = "".join(
        f"<object><name>{CLASSES[label]}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax>"
        f"<ymax>{y1}</ymax></bndbox></object>"
        for label, (x0, y0, x1, y1) in one.objects
    )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return f"<annotation><filename>{one.name}{suffix}</filename>{size}{objects}</annotation>"


def _voc(folder: Path, images: str, annotations: str, suffix: str = ".jpg") -> None:
    write_images(folder, images, suffix)
    for one in EXAMPLES:
        write(folder / annotations.format(split=one.split) / f"{one.name}.xml", _xml(one, suffix))


def _lists(folder: Path, place: str) -> None:
    for split in COUNTS:
        write(folder / place / f"{split}.txt", "".join(f"{one.name}\n" for one in only(split)))


def voc_challenge(folder: Path) -> None:
    _voc(folder, "JPEGImages", "Annotations")
    _lists(folder, "ImageSets/Main")


def voc_challenge_a_level_down(folder: Path) -> None:
    voc_challenge(folder / "VOCdevkit/VOC2012")


def voc_trainval(folder: Path) -> None:
    voc_challenge(folder)
    lists = folder / "ImageSets/Main"
    write(lists / "trainval.txt", (lists / "train.txt").read_text() + (lists / "val.txt").read_text())
    (lists / "train.txt").unlink()
    (lists / "val.txt").unlink()


def voc_annotations_beside_images(folder: Path) -> None:
    _voc(folder, "images", "annotations", ".png")


def voc_annots_beside_images(folder: Path) -> None:
    _voc(folder, "images", "annots")


def voc_splits_in_folders_of_both(folder: Path) -> None:
    _voc(folder, "{split}", "{split}")


def voc_splits_below_each(folder: Path) -> None:
    _voc(folder, "images/{split}", "xmls/{split}", ".jpeg")


def voc_all_in_one(folder: Path) -> None:
    _voc(folder, ".", ".")


def voc_lists_with_paths(folder: Path) -> None:
    _voc(folder, "images", "labels", ".bmp")
    for split in COUNTS:
        write(folder / f"{split}.txt", "".join(f"./images/{one.name}.bmp\n" for one in only(split)))


# YOLO


def _yolo_lines(one: Example, *, polygons: bool = False) -> str:
    lines = []
    for label, (x0, y0, x1, y1) in one.objects:
        values = [(x0 + x1) / 2 / WIDTH, (y0 + y1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT]
        if polygons:
            corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
            values = [share for x, y in corners for share in (x / WIDTH, y / HEIGHT)]
        lines.append(f"{label} {' '.join(f'{value:.9f}' for value in values)}\n")
    return "".join(lines)


def _yolo(folder: Path, images: str, labels: str, *, polygons: bool = False) -> None:
    write_images(folder, images)
    for one in EXAMPLES:
        write(folder / labels.format(split=one.split) / f"{one.name}.txt", _yolo_lines(one, polygons=polygons))


def _data_yaml(folder: Path, name: str = "data.yaml", **entries: Any) -> None:
    write(folder / name, json.dumps({"names": list(CLASSES)} | entries))


def yolo_images_and_labels(folder: Path) -> None:
    _yolo(folder, "images/{split}", "labels/{split}")
    _data_yaml(folder, path=".", **{split: f"images/{split}" for split in COUNTS})


def yolo_split_first(folder: Path) -> None:
    _yolo(folder, "{split}/images", "{split}/labels")
    _data_yaml(folder, train="../train/images", val="../val/images", test="../test/images")


def yolo_config_yaml_and_labels_a_level_down(folder: Path) -> None:
    _yolo(folder, "{split}", "annotations/labels/{split}")
    names = dict(enumerate(CLASSES))
    write(folder / "config.yaml", f"names: {names}\ntrain: train\nval: val\ntest: test\n")


def yolo_written_on_another_machine(folder: Path) -> None:
    _yolo(folder, "images/{split}", "labels/{split}")
    _data_yaml(
        folder, path="/home/ann/sets/cells", **{split: f"/home/ann/sets/cells/images/{split}" for split in COUNTS}
    )


def yolo_labels_beside_images(folder: Path) -> None:
    _yolo(folder, "{split}", "{split}")
    _data_yaml(folder, "dataset.yml", **{split: split for split in COUNTS})


def yolo_lists_of_images(folder: Path) -> None:
    _yolo(folder, "images", "labels")
    for split in COUNTS:
        write(folder / f"{split}.txt", "".join(f"./images/{one.name}.jpg\n" for one in only(split)))
    _data_yaml(folder, **{split: f"{split}.txt" for split in COUNTS})


def yolo_no_test_after_all(folder: Path) -> None:
    yolo_images_and_labels(folder)
    for one in only("test"):
        (folder / f"images/test/{one.name}.jpg").unlink()
        (folder / f"labels/test/{one.name}.txt").unlink()
    (folder / "images/test").rmdir()


def yolo_class_list_alone(folder: Path) -> None:
    _yolo(folder, "images/{split}", "labels/{split}")
    write(folder / "classes.txt", "\n".join(CLASSES))


def yolo_label_img(folder: Path) -> None:
    """What labelImg leaves: everything in one folder."""
    _yolo(folder, ".", ".")
    write(folder / "classes.txt", "\n".join(CLASSES))


def yolo_darknet(folder: Path) -> None:
    _yolo(folder, "data/obj", "data/obj")
    write(folder / "data/obj.names", "\n".join(CLASSES))
    for split in COUNTS:
        write(folder / f"data/{split}.txt", "".join(f"data/obj/{one.name}.jpg\n" for one in only(split)))
    lines = ["classes = 2", "train = data/train.txt", "valid = data/val.txt", "test = data/test.txt"]
    write(folder / "data/obj.data", "\n".join([*lines, "names = data/obj.names", "backup = backup/"]))


def yolo_polygons(folder: Path) -> None:
    _yolo(folder, "images/{split}", "labels/{split}", polygons=True)
    _data_yaml(folder, **{split: f"images/{split}" for split in COUNTS})


def yolo_oriented_boxes(folder: Path) -> None:
    yolo_polygons(folder)
    _data_yaml(folder, task="obb", **{split: f"images/{split}" for split in COUNTS})


# COCO


def _coco(
    examples: list[Example],
    file_name: Callable[[Example], str],
    edit: Callable[[dict[str, Any]], None] = lambda c: None,
) -> str:
    content: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 3 * label + 1, "name": name} for label, name in enumerate(CLASSES)],
    }
    for number, one in enumerate(examples, start=1):
        content["images"].append({"id": number, "file_name": file_name(one), "width": WIDTH, "height": HEIGHT})
        for label, (x0, y0, x1, y1) in one.objects:
            annotation = {
                "id": len(content["annotations"]) + 1,
                "image_id": number,
                "category_id": 3 * label + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
                "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
            }
            content["annotations"].append(annotation)
    edit(content)
    return json.dumps(content)


def coco_of_2017(folder: Path) -> None:
    write_images(folder, "{split}2017")
    for split in COUNTS:
        file = _coco(only(split), lambda one: f"{one.name}.jpg")
        write(folder / f"annotations/instances_{split}2017.json", file)
        for other in ("captions", "person_keypoints"):
            write(folder / f"annotations/{other}_{split}2017.json", file)


def coco_export(folder: Path) -> None:
    """A file in each split's folder, with a category that groups the others and has the name of one."""

    def edit(content: dict[str, Any]) -> None:
        content["categories"].insert(0, {"id": 0, "name": "cell", "supercategory": "none"})
        for item in content["categories"][1:]:
            item["supercategory"] = "cell"

    for split, name in (("train", "train"), ("val", "valid"), ("test", "test")):
        for one in only(split):
            save(folder / name / f"{one.name}.jpg", one.pixels())
        write(folder / name / "_annotations.coco.json", _coco(only(split), lambda one: f"{one.name}.jpg", edit))


def coco_instances_default(folder: Path) -> None:
    write_images(folder, "images")
    write(folder / "annotations/instances_default.json", _coco(list(EXAMPLES), lambda one: f"{one.name}.jpg"))


def coco_result_beside_images(folder: Path) -> None:
    """Label Studio's: names with a folder before them, nothing beside the polygons that could be left out."""

    def edit(content: dict[str, Any]) -> None:
        for item in content["annotations"]:
            for key in ("id", "area", "iscrowd", "bbox"):
                del item[key]

    write_images(folder, "images")
    write(folder / "result.json", _coco(list(EXAMPLES), lambda one: f"images/{one.name}.jpg", edit))


def coco_train_json_in_the_folder(folder: Path) -> None:
    write_images(folder, "data/{split}")
    for split in COUNTS:
        write(folder / f"{split}.json", _coco(only(split), lambda one: f"{one.name}.jpg"))


def coco_backslashes(folder: Path) -> None:
    write_images(folder, "images/{split}")
    for split in COUNTS:
        write(folder / f"labels/{split}.json", _coco(only(split), lambda one: f"C:\\sets\\{one.split}\\{one.name}.jpg"))


def coco_urls(folder: Path) -> None:
    for one in EXAMPLES:
        save(folder / "photos" / f"cell {one.name}.jpg", one.pixels())
    url = "https://example.org/sets/cell%20{name}.jpg?size=large"
    for split in COUNTS:
        write(folder / f"{split}_annotations.json", _coco(only(split), lambda one: url.format(name=one.name)))


# Masks


def _masks(folder: Path, images: str, masks: str, mask_name: str = "{name}.png", suffix: str = ".png") -> None:
    write_images(folder, images, suffix)
    for one in EXAMPLES:
        save(folder / masks.format(split=one.split) / mask_name.format(name=one.name), one.mask())
    write(folder / "classes.txt", "\n".join(("background", *CLASSES)))


def masks_images_and_masks(folder: Path) -> None:
    _masks(folder, "{split}/images", "{split}/masks")


def masks_image_and_label(folder: Path) -> None:
    _masks(folder, "{split}/image", "{split}/label")


def masks_kind_first(folder: Path) -> None:
    _masks(folder, "images/{split}", "annotations/{split}", suffix=".jpg")


def masks_of_camvid(folder: Path) -> None:
    _masks(folder, "{split}", "{split}annot")


def masks_with_an_ending(folder: Path) -> None:
    _masks(folder, "imgs/{split}", "gt/{split}", "{name}_gtFine.png")


def masks_of_retinas(folder: Path) -> None:
    """DRIVE's: other endings, other suffixes."""
    for one in EXAMPLES:
        place = folder / {"train": "training", "val": "validation", "test": "test"}[one.split]
        save(place / "images" / f"{one.name}_training.tif", one.pixels())
        save(place / "1st_manual" / f"{one.name}_manual1.gif", one.mask())
    write(folder / "classes.txt", "\n".join(("background", *CLASSES)))


def masks_in_one_folder(folder: Path) -> None:
    _masks(folder, ".", ".", "{name}_mask.png", ".jpg")


def masks_in_one_folder_by_suffix(folder: Path) -> None:
    _masks(folder, "{split}", "{split}", suffix=".jpg")


def masks_of_the_challenge(folder: Path) -> None:
    _masks(folder, "JPEGImages", "SegmentationClass", suffix=".jpg")
    _lists(folder, "ImageSets/Segmentation")


# Masks of objects


def objects_numbered(folder: Path) -> None:
    masks_images_and_masks(folder)
    for one in EXAMPLES:
        save(folder / one.split / "instances" / f"{one.name}.png", one.numbered())


def objects_a_file_each(folder: Path) -> None:
    for one in EXAMPLES:
        place = folder / one.split / one.name
        save(place / "images" / f"{one.name}.png", one.pixels())
        for number, (_, (x0, y0, x1, y1)) in enumerate(one.objects):
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[y0:y1, x0:x1] = 255
            save(place / "masks" / f"{number}.png", mask)


def objects_a_folder_an_image(folder: Path) -> None:
    write_images(folder, "{split}/images", ".png")
    for one in EXAMPLES:
        for number, (_, (x0, y0, x1, y1)) in enumerate(one.objects):
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[y0:y1, x0:x1] = 255
            save(folder / one.split / "masks" / one.name / f"{number}.png", mask)


_KINDS = (
    "voc_",
    "yolo_",
    "coco_",
    "masks_",
    "objects_",
    "labelme_",
    "cvat_",
    "label_studio_",
    "supervisely_",
    "open_images_",
    "csv_",
)
LAYOUTS: dict[str, Callable[[Path], None]] = {
    name: function for name, function in [*globals().items(), *vars(tool_layouts).items()] if name.startswith(_KINDS)
}
