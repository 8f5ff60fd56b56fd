"""Defects to plant in clean data, and what is found then."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from tasks.config import Annotations
from tests.tasks.doctor.clean import HEIGHT, WIDTH, noise, write_json
from tests.tasks.doctor.planted_in_class_folders import IN_CLASS_FOLDERS

TRAIN, VAL = "annotations/instances_train.json", "annotations/instances_val.json"


def _bands(path: Path) -> None:
    """A TIFF of five bands under the name of an image."""
    path.unlink()
    file = path.with_suffix(".tif")
    tifffile.imwrite(file, np.zeros((HEIGHT, WIDTH, 5), np.uint8), photometric="minisblack", planarconfig="contig")
    edit("train", lambda content: content["images"][0].update(file_name=file.name))(path.parents[1])


def _two_of_a_name(folder: Path) -> None:
    (folder / "train/t0.png").unlink()
    for seed, name in enumerate(("one", "two")):
        (folder / name).mkdir()
        noise(seed=seed).save(folder / name / "t0.png")


def _annotated_again(folder: Path) -> None:
    tasks = json.loads((folder / "train.json").read_text())
    tasks[0]["annotations"] *= 2
    write_json(folder / "train.json", tasks)


def edit(split: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        file = folder / f"annotations/instances_{split}.json"
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return plant


def first_object(**values: Any) -> Callable[[Path], None]:
    """Change the first object of train."""
    return edit("train", lambda content: content["annotations"][0].update(values))


def one_more(count: int = 1, **values: Any) -> Callable[[Path], None]:
    """Another object for the first image of train, with whatever box and class."""

    def change(content: dict[str, Any]) -> None:
        items = content["annotations"]
        for number in range(count):
            box = [float(value) for value in values.get("bbox", (10, 5 + 0.1 * number, 20, 21))]
            x, y, w, h = box
            polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            item = {
                "id": max(one["id"] for one in items) + 1,
                "image_id": 1,
                "category_id": 7,
                "iscrowd": 0,
                "segmentation": polygon,
            }
            items.append(item | {"area": w * h} | values | {"bbox": box})

    return edit("train", change)


def _saved(image: Image.Image, **options: Any) -> Callable[[Path], None]:
    return lambda folder: image.save(folder / "train/t0.jpg", **options)


def _turned(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(HEIGHT, WIDTH).save(folder / "train/t0.jpg", exif=exif)


def _mask(values: Any) -> Callable[[Path], None]:
    mask = Image.fromarray(np.full((HEIGHT, WIDTH), values, np.uint8))
    return lambda folder: mask.save(folder / "train/masks/0.png")


def _lossy(folder: Path) -> None:
    mask = folder / "train/masks/0.png"
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(mask.with_suffix(".jpg"))
    mask.unlink()


def _copied(source: str, target: str) -> Callable[[Path], None]:
    return lambda folder: (folder / target).write_bytes((folder / source).read_bytes())


def _category(name: str, split: str = "train") -> Callable[[Path], None]:
    return edit(split, lambda content: content["categories"].append({"id": 9, "name": name}))


def _both(*plants: Callable[[Path], Any]) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        for one in plants:
            one(folder)

    return plant


def _without(split: str, keep: Callable[[dict[str, Any]], bool]) -> Callable[[Path], None]:
    def change(content: dict[str, Any]) -> None:
        content["annotations"] = [item for item in content["annotations"] if keep(item)]

    return edit(split, change)


def in_text(file: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_text((folder / file).read_text().replace(old, new, 1))


def _line(text: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        with (folder / "labels/train/t0.txt").open("a") as file:
            file.write(f"{text}\n")

    return plant


def _yaml(**entries: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        content = json.loads((folder / "data.yaml").read_text())
        (folder / "data.yaml").write_text(json.dumps(content | entries))

    return plant


def _nothing(split: str) -> Callable[[Path], None]:
    return _without(split, lambda item: False)


def _runs(counts: Any) -> dict[str, Any]:
    return {"size": [HEIGHT, WIDTH], "counts": counts}


def _one_image(folder: Path) -> None:
    (folder / "ImageSets/Main/val.txt").unlink()
    (folder / "ImageSets/Main/train.txt").write_text("t0\n")


FEW_WHITE = _without("train", lambda item: item["category_id"] == 7 or item["id"] == 2)

# what is planted -> where, how, what is found
PLANTED: dict[str, tuple[str, Callable[[Path], Any], set[str]]] = {
    "a missing image": ("coco", lambda d: (d / "train/t0.jpg").unlink(), {"image-missing"}),
    "a missing image of VOC": ("voc", lambda d: (d / "JPEGImages/t0.jpg").unlink(), {"image-missing"}),
    "a broken image of VOC without sizes": (
        "voc",
        _both(
            in_text("Annotations/t0.xml", "<size><width>64</width><height>48</height><depth>3</depth></size>", ""),
            lambda d: (d / "JPEGImages/t0.jpg").write_text("no"),
        ),
        {"image-unreadable"},
    ),
    "a broken image of YOLO": (
        "yolo",
        lambda d: (d / "images/train/t0.jpg").write_text("no"),
        {"image-unreadable"},
    ),
    "text for an image": ("coco", lambda d: (d / "train/t0.jpg").write_text("no"), {"image-unreadable"}),
    "half an image": (
        "coco",
        lambda d: (d / "train/t0.jpg").write_bytes((d / "train/t0.jpg").read_bytes()[:900]),
        {"image-truncated"},
    ),
    "a resized image": ("coco", _saved(noise(128, 96)), {"image-size"}),
    "an image listed twice": (
        "coco",
        edit("train", lambda content: content["images"].append(dict(content["images"][0], id=99))),
        {"image-listed-twice"},
    ),
    "an id of two images": (
        "coco",
        edit("train", lambda content: content["images"].append(dict(content["images"][0], file_name="u.jpg"))),
        {"image-listed-twice"},
    ),
    "broken XML": ("voc", lambda d: (d / "Annotations/t0.xml").write_text("<annotation"), {"annotation-unreadable"}),
    "broken JSON": ("coco", lambda d: (d / VAL).write_text("{"), {"annotation-unreadable"}),
    "a YOLO line of words": ("yolo", _line("red 0.5 0.5 0.1 0.1"), {"annotation-unreadable"}),
    "a val split that is not there": ("yolo", _yaml(val="images/other"), {"split-missing"}),
    "a YOLO line too short": ("yolo", _line("1 0.5 0.5 0.1"), {"annotation-unreadable"}),
    "an annotation of no image": ("coco", one_more(image_id=99), {"annotation-orphan"}),
    "an annotation of no category": ("coco", first_object(category_id=99), {"class-unknown"}),
    "a class that only val has": (
        "voc",
        in_text("Annotations/v0.xml", "<name>red</name>", "<name>blue</name>"),
        {"class-unknown"},
    ),
    "YOLO classes counted from 1": ("yolo", _line("2 0.5 0.5 0.2 0.25"), {"class-unknown"}),
    "a category listed twice": (
        "coco",
        edit("train", lambda content: content["categories"].append({"id": 7, "name": "red"})),
        {"class-twice"},
    ),
    "no train file": ("coco", lambda d: (d / TRAIN).unlink(), {"data-unusable"}),
    "one image and no val": (
        "voc",
        _one_image,
        {"split-impossible", "class-rare", "label-unlisted", "image-unlisted"},
    ),
    "a name of two classes": ("masks", lambda d: (d / "classes.txt").write_text("a\na\n"), {"class-twice"}),
    "a coordinate NaN": ("coco", first_object(bbox=[float("nan"), 6, 26, 34]), {"box-not-a-number"}),
    "an infinite coordinate": ("voc", in_text("Annotations/t0.xml", ">30<", ">inf<"), {"box-not-a-number"}),
    "YOLO in pixels": ("yolo", _line("1 30 20 10 10"), {"box-not-a-number"}),
    "YOLO NaN": ("yolo", _line("1 nan 0.5 0.1 0.1"), {"box-not-a-number"}),
    "a box of no width": (
        "coco",
        one_more(bbox=[5, 5, 0, 20]),
        {"box-no-area"},
    ),
    "a box turned around": ("voc", in_text("Annotations/t0.xml", "<xmax>30", "<xmax>2"), {"box-no-area"}),
    "a box elsewhere": ("coco", one_more(bbox=[200, 5, 20, 20]), {"box-outside"}),
    "a box half outside": ("coco", one_more(bbox=[-8, 5, 40, 20]), {"box-clipped"}),
    "a box twice": ("coco", one_more(bbox=[4, 6, 26, 34]), {"box-twice"}),
    "a box of two classes": ("coco", one_more(bbox=[4, 6, 26, 34], category_id=3), {"box-two-classes"}),
    "a box around everything": ("coco", one_more(bbox=[0, 0, 64, 48]), {"box-whole-image"}),
    "a tiny box": ("coco", one_more(bbox=[5, 5, 2, 9]), {"box-tiny"}),
    "too many objects": ("coco", one_more(count=101), {"objects-many"}),
    "an area of nothing": ("coco", first_object(area=0), {"area-odd"}),
    "an area beyond its box": ("coco", first_object(area=5000), {"area-odd"}),
    "a polygon of words": ("coco", first_object(segmentation="round"), {"polygon-broken"}),
    "a polygon for another size": (
        "coco",
        first_object(segmentation={"size": [9, 9], "counts": [81]}),
        {"polygon-broken"},
    ),
    "no polygon": ("coco", first_object(segmentation=[]), {"polygon-missing"}),
    "a polygon of no numbers": (
        "coco",
        first_object(segmentation=[[1, 1, 9, 1, 9, float("nan")]]),
        {"polygon-broken"},
    ),
    "a polygon a world away": ("coco", first_object(segmentation=[[1, 1, 9, 1, 9, 3e8]]), {"polygon-broken"}),
    "runs that end too early": ("coco", first_object(segmentation=_runs([1000, 20])), {"polygon-broken"}),
    "compressed runs that end too early": ("coco", first_object(segmentation=_runs("X1")), {"polygon-broken"}),
    "runs of less than nothing": ("coco", first_object(segmentation=_runs([-5, 3077])), {"polygon-broken"}),
    "no polygon for a mask": ("coco as masks", first_object(segmentation=[]), {"polygon-missing"}),
    "a polygon elsewhere": ("coco", first_object(segmentation=[[40, 40, 60, 40, 60, 47]]), {"polygon-off-box"}),
    "an annotation id twice": ("coco", first_object(id=2), {"annotation-id-twice"}),
    "an annotation id 0": ("coco", first_object(id=0), {"annotation-id-zero"}),
    "an image of train in val": ("coco", _copied("train/t0.jpg", "val/v0.jpg"), {"image-leaked"}),
    "an image twice": ("coco", _copied("train/t0.jpg", "train/t1.jpg"), {"image-twice"}),
    "an unused class": ("coco", _category("blue"), {"class-unused"}),
    "a class that train has none of": (
        "coco",
        _both(
            _category("blue"),
            _category("blue", "val"),
            edit("val", lambda content: content["annotations"][0].update(category_id=9)),
        ),
        {"class-not-in-train"},
    ),
    "a class that val has none of": (
        "coco",
        _without("val", lambda item: item["category_id"] == 7),
        {"class-not-in-split"},
    ),
    "Red and red": (
        "coco",
        _both(_category("Red"), one_more(count=10, category_id=9)),
        {"class-names-alike", "class-not-in-split"},
    ),
    "no object at all": (
        "coco",
        _both(_nothing("train"), _nothing("val")),
        {"class-none", "image-empty", "split-without-objects"},
    ),
    "a rare class": ("coco", FEW_WHITE, {"class-rare"}),
    "a class a hundred times rarer": ("coco", _both(FEW_WHITE, one_more(count=90)), {"class-rare", "class-balance"}),
    "an image without objects": ("coco", _without("train", lambda item: item["image_id"] != 1), {"image-empty"}),
    "an image in no list": ("coco", lambda d: noise().save(d / "train/extra.png"), {"image-unlisted"}),
    "XML in no list": ("voc", _copied("Annotations/t0.xml", "Annotations/u.xml"), {"label-unlisted"}),
    "labels of no image": ("yolo", _copied("labels/train/t0.txt", "labels/train/u.txt"), {"label-unlisted"}),
    "a crowd": ("coco", first_object(iscrowd=1), {"crowd"}),
    "a turned image": ("coco", _turned, {"image-turned"}),
    "a grey image": ("coco", _saved(noise().convert("L")), {"image-grey"}),
    "a palette": ("coco", _saved(noise().convert("P"), format="PNG"), {"image-palette"}),
    "an alpha channel": ("coco", _saved(noise().convert("RGBA"), format="PNG"), {"image-alpha"}),
    "16 bits": (
        "coco",
        _saved(Image.fromarray(np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH)), format="PNG"),
        {"image-deep"},
    ),
    "CMYK": ("coco", _saved(noise().convert("CMYK")), {"image-cmyk"}),
    "a shape that is a point": (
        "labelme",
        in_text("train/t0.json", '[[4, 6], [30, 40]], "shape_type": "rectangle"', '[[4, 6]], "shape_type": "point"'),
        {"shape-no-area"},
    ),
    "five bands for a backbone of colours": ("coco", lambda d: _bands(d / "train/t0.jpg"), {"image-channels"}),
    "an image outside the folder": (
        "coco",
        _both(
            lambda folder: noise().save(folder.parent / "elsewhere.png"),
            edit("train", lambda content: content["images"][0].update(file_name="../../elsewhere.png")),
        ),
        {"image-outside"},
    ),
    "a shape without a label": (
        "labelme",
        in_text("train/t0.json", '"label": "red"', '"label": ""'),
        {"shape-unlabelled"},
    ),
    "a name of two images": (
        "label_studio",
        _two_of_a_name,
        {"image-unclear"},
    ),
    "two annotations of an image": ("label_studio", _annotated_again, {"annotated-again"}),
    "a missing mask": ("masks", lambda d: (d / "train/masks/0.png").unlink(), {"mask-missing"}),
    "text for a mask": ("masks", lambda d: (d / "train/masks/0.png").write_text("no"), {"mask-unreadable"}),
    "a coloured mask": ("masks", lambda d: noise().save(d / "train/masks/0.png"), {"mask-stray"}),
    "half a mask": (
        "masks",
        lambda d: (d / "train/masks/0.png").write_bytes((d / "train/masks/0.png").read_bytes()[:60]),
        {"mask-unreadable"},
    ),
    "a mask of another size": (
        "masks",
        lambda d: Image.new("L", (9, 9)).save(d / "train/masks/0.png"),
        {"mask-size"},
    ),
    "a stray value": ("masks", _mask([[0, 1] * 31 + [0, 7]]), {"mask-stray"}),
    "a mask of nothing": ("masks", _mask(255), {"mask-ignored"}),
    "a mask of one class": ("masks", _mask(1), {"mask-one-class"}),
    "a mask as JPEG": ("masks", _lossy, {"mask-lossy", "mask-one-class"}),
    "a mask of no image": ("masks", _copied("train/masks/0.png", "train/masks/u.png"), {"label-unlisted"}),
    "a broken polygon for a mask": ("coco as masks", first_object(segmentation="round"), {"polygon-broken"}),
    **IN_CLASS_FOLDERS,
}


def annotations_of(form: str) -> Annotations:
    """What is learnt from clean data of this form."""
    if form == "folders":
        return "labels"
    return "masks" if "masks" in form else "polygons" if form == "coco" else "boxes"
