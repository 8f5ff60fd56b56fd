"""Small data sets after what people report of such tools: each opens with the right content, or is refused by name.

Only `tasks.data.open_data` is asked, so that the table can be run on any version:
`python -m tests.tasks.data.reports` prints how many are wrong.
"""

import json
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 40, 30
Box = tuple[float, float, float, float]
CELL: Box = (4, 6, 20, 22)
OTHER: Box = (22, 4, 36, 20)


@dataclass(frozen=True)
class Report:
    """A case.

    Attributes:
        kind: what is to be learnt from: boxes, polygons or masks.
        make: writes the folder.
        opens: what it holds: `objects`, `images`, `classes`, `boxes` of the first image, `labels` of masks, each where
            it is checked.
        refused: what the message says, where it must not open.
        said: a check's name that must be among the findings.
        settings: of the data.
    """

    kind: str
    make: Callable[[Path], object]
    opens: dict[str, Any] | None = None
    refused: str | None = None
    said: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


REPORTS: dict[str, Report] = {}


def _add(name: str, kind: str, make: Callable[[Path], object], **expected: Any) -> None:
    assert name not in REPORTS, name
    REPORTS[name] = Report(kind, make, **expected)


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _image(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(path.name))).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    if path.suffix.lower() in (".pgm", ".pbm"):
        image = image.convert("L" if path.suffix == ".pgm" else "1")
    kind = {".jfif": "JPEG", ".jpe": "JPEG"}.get(path.suffix.lower())
    image.save(path, kind, **more)


# Masks


def _mask(*values: float, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return np.resize(np.array(values, dtype), (HEIGHT, WIDTH))


def _palette(*values: int, colours: Iterable[tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(_mask(*values)).convert("P")
    image.putdata(_mask(*values).reshape(-1).tolist())
    image.putpalette([value for colour in colours for value in colour])
    return image


def _masks(
    *masks: Any,
    images: str = "{split}/images/{name}.png",
    masks_at: str = "{split}/masks/{name}.png",
    names: str | bytes = "",
    also: Callable[[Path], object] | None = None,
) -> Callable[[Path], None]:
    """Masks of train; the last one is val's too."""

    def make(folder: Path) -> None:
        for split, items in (("train", masks), ("val", masks[-1:])):
            for number, mask in enumerate(items):
                name = f"{split[0]}{number}"
                _image(folder / images.format(split=split, name=name))
                path = folder / masks_at.format(split=split, name=name)
                path.parent.mkdir(parents=True, exist_ok=True)
                (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(path)
        if names:
            _write(folder / "classes.txt", names)
        if also is not None:
            also(folder)

    return make


TWO = {"classes": ("ground", "cell"), "labels": {0, 1}}
GIVEN = {"classes": ("ground", "cell")}
_add("masks of 0 and 255, named by a flag", "masks", _masks(_mask(0, 255)), opens=TWO, settings=GIVEN)
_add("masks of 0 and 255, named by a file", "masks", _masks(_mask(0, 255), names="ground\ncell\n"), opens=TWO)
_add(
    "masks of 0 and 255, black ones first", "masks", _masks(*[_mask(0)] * 25, _mask(0, 255)), opens=TWO, settings=GIVEN
)
_add("masks of 0 and 255, unnamed", "masks", _masks(_mask(0, 255)), opens={"classes": ("0", "255"), "labels": {0, 1}})
_add("masks of 0, 1 and 255", "masks", _masks(_mask(0, 1, 255)), opens={**TWO, "labels": {0, 1, 255}}, settings=GIVEN)
_add("one name for 0 and 255", "masks", _masks(_mask(0, 255)), refused="name two", settings={"classes": ("cell",)})
_add("three names for 0 and 255", "masks", _masks(_mask(0, 255)), refused="two", settings={"classes": ("a", "b", "c")})
_add(
    "255 said to be ignored in 0 and 255",
    "masks",
    _masks(_mask(0, 255)),
    refused="255 is ignored",
    settings={**GIVEN, "ignore_index": 255},
)
_add(
    "a named class said to be ignored",
    "masks",
    _masks(_mask(0, 1, 2)),
    refused="'cell' has the value 1, which is ignored",
    settings={"classes": ("ground", "cell", "dirt"), "ignore_index": 1},
)
_add("black masks alone", "masks", _masks(_mask(0), _mask(0)), refused="nothing", settings=GIVEN)
_add("masks that are all ignored", "masks", _masks(_mask(255), _mask(255)), refused="nothing|no class|ignored")
_add("white masks of val", "masks", _masks(_mask(0, 1), _mask(1)), said="split-without-objects", settings=GIVEN)
_add("1-bit masks", "masks", _masks(Image.fromarray(_mask(0, 1) > 0)), opens=TWO, settings=GIVEN)
for white in (1, 255):
    _add(
        f"1-bit masks among 8-bit ones of {white}",
        "masks",
        _masks(Image.fromarray(_mask(0, 1) > 0), _mask(0, white)),
        opens=TWO,
        settings=GIVEN,
    )
_add(
    "a palette under named colours",
    "masks",
    _masks(_palette(0, 1, colours=[(0, 0, 255), (255, 0, 0)]), names="ground 255 0 0\ncell 0 0 255\n"),
    opens={**TWO, "first": 1},
)
_add(
    "a palette by positions", "masks", _masks(_palette(0, 1, colours=[(9, 9, 9), (5, 0, 0)])), opens=TWO, settings=GIVEN
)
_add(
    "colours without a table",
    "masks",
    _masks(_palette(0, 1, colours=[(0, 0, 255), (255, 0, 0)]).convert("RGB")),
    refused="in colours",
)
_add(
    "a colour that the table lacks",
    "masks",
    _masks(_palette(0, 1, colours=[(0, 0, 255), (255, 0, 0)]).convert("RGB"), names="ground 255 0 0\ncell 0 9 9\n"),
    refused="does not name",
)
_add("grey masks as RGB", "masks", _masks(Image.fromarray(_mask(0, 1)).convert("RGB")), opens=TWO, settings=GIVEN)
_add("grey masks with alpha", "masks", _masks(Image.fromarray(_mask(0, 1)).convert("LA")), opens=TWO, settings=GIVEN)
_add("16-bit masks", "masks", _masks(_mask(0, 300, dtype=np.uint16)), opens={"classes": ("0", "300"), "labels": {0, 1}})
TIF = "{split}/masks/{name}.tif"
_add("masks of 70000", "masks", _masks(_mask(0, 70000, dtype=np.int32), masks_at=TIF), refused="70000")
_add("masks of 65536", "masks", _masks(_mask(0, 65536, dtype=np.int32), masks_at=TIF), refused="65536")
_add("masks of -1", "masks", _masks(_mask(0, -1, dtype=np.int32), masks_at=TIF), refused="-1")
_add("masks of 0.5", "masks", _masks(_mask(0, 0.5, dtype=np.float32), masks_at=TIF), refused="0.5")
_add("masks of NaN", "masks", _masks(_mask(0, np.nan, dtype=np.float32), masks_at=TIF), refused="nan")
_add("masks of whole floats", "masks", _masks(_mask(0, 1, dtype=np.float32), masks_at=TIF), opens=TWO, settings=GIVEN)
_add("a value beyond the names", "masks", _masks(_mask(0, 7)), refused="value 7", settings=GIVEN)


def _soft() -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows - 14, columns - 20)
    return np.clip((10 - distance) * 120 + 128, 0, 255).astype(np.uint8)


_add("soft edges", "masks", _masks(_soft()), refused="soft edges")
_add("masks of 254 for white", "masks", _masks(np.minimum(_soft(), 254)), refused="mask.threshold")
_add(
    "masks saved as JPEG",
    "masks",
    _masks(np.where(_soft() > 250, 255, 0).astype(np.uint8), masks_at="{split}/masks/{name}.jpg"),
    refused="JPEG",
)
_add("soft edges, thresholded", "masks", _masks(_soft()), opens=TWO, settings={**GIVEN, "mask_threshold": 128})
_add(
    "numbers of objects as classes",
    "masks",
    _masks(np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH)),
    refused="numbers of objects",
)
for suffix in (".tif", ".bmp", ".gif", ".pgm", ".PNG", ".tiff"):
    _add(
        f"masks as {suffix}",
        "masks",
        _masks(_mask(0, 1), masks_at="{split}/masks/{name}" + suffix),
        opens=TWO,
        settings=GIVEN,
    )
for words in ("image mask", "imgs annotations", "photos gt", "images labels", "Images Masks", "original groundtruth"):
    one, other = words.split()
    _add(
        f"folders called {one} and {other}",
        "masks",
        _masks(_mask(0, 1), images="{split}/" + one + "/{name}.png", masks_at="{split}/" + other + "/{name}.png"),
        opens=TWO,
        settings=GIVEN,
    )
for ending in ("_mask", "_label", "-seg", "_GT", "_segmentation_mask"):
    _add(
        f"masks ending in {ending}",
        "masks",
        _masks(_mask(0, 1), _mask(1, 0), masks_at="{split}/masks/{name}" + ending + ".png"),
        opens=TWO,
        settings=GIVEN,
    )
_add(
    "blanks and brackets in names",
    "masks",
    _masks(_mask(0, 1), images="{split}/images/a [1] {name}.png", masks_at="{split}/masks/a [1] {name}.png"),
    opens=TWO,
    settings=GIVEN,
)
_add(
    "masks and labels side by side",
    "masks",
    _masks(_mask(0, 1), also=lambda f: shutil.copytree(f / "train/masks", f / "train/labels")),
    refused="keep one",
)
_add(
    "val and valid side by side",
    "masks",
    _masks(_mask(0, 1), also=lambda f: shutil.copytree(f / "val", f / "valid")),
    refused="valid",
)
_add(
    "two masks of one name",
    "masks",
    _masks(_mask(0, 1), also=lambda f: Image.fromarray(_mask(0, 1)).save(f / "train/masks/t0.tif")),
    refused="one name",
)
_add(
    "a missing mask",
    "masks",
    _masks(_mask(0, 1), _mask(0, 1), also=lambda f: (f / "train/masks/t0.png").unlink()),
    refused="no mask",
)
_add(
    "a mask of another size",
    "masks",
    _masks(_mask(0, 1), also=lambda f: Image.new("L", (9, 9)).save(f / "train/masks/t0.png")),
    refused="sizes",
)
_add(
    "an empty folder of masks",
    "masks",
    _masks(_mask(0, 1), also=lambda f: (f / "train/masks/t0.png").unlink()),
    refused="empty",
)
_add(
    "text for a mask",
    "masks",
    _masks(_mask(0, 1), also=lambda f: _write(f / "train/masks/t0.png", "no")),
    refused="mask",
)
for encoding, name in (("utf-8-sig", "cell"), ("utf-16", "cell"), ("latin-1", "Größe"), ("gb2312", "细胞")):
    _add(
        f"classes.txt in {encoding}",
        "masks",
        _masks(_mask(0, 1), names=f"ground\r\n{name}  \r\n".encode(encoding)),
        opens={"classes": ("ground", name), "labels": {0, 1}},
    )
_add(
    "hidden copies of masks",
    "masks",
    _masks(_mask(0, 1), also=lambda f: shutil.copytree(f / "train/masks", f / "train/masks/.ipynb_checkpoints")),
    opens=TWO,
    settings=GIVEN,
)


def _voc_masks(*, names: str = "a b\nscene\n", also: Callable[[Path], object] | None = None) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name in ("a b", "scene", "scene.night", "v"):
            _image(folder / f"JPEGImages/{name}.jpg")
            (folder / "SegmentationClass").mkdir(exist_ok=True)
            Image.fromarray(_mask(0, 2 if name == "scene.night" else 1)).save(folder / f"SegmentationClass/{name}.png")
        _write(folder / "ImageSets/Segmentation/train.txt", names)
        _write(folder / "ImageSets/Segmentation/val.txt", "v\n")
        if also is not None:
            also(folder)

    return make


_add("scene.png beside scene.night.png", "masks", _voc_masks(), opens={"classes": ("0", "1"), "images": 3})
_add("a name twice in a list", "masks", _voc_masks(names="scene\nscene\n"), opens={"images": 2})
_add("a list with carriage returns", "masks", _voc_masks(names="a b\r\nscene \r\n"), opens={"images": 3})
_add(
    "a listed image without a mask",
    "masks",
    _voc_masks(also=lambda f: (f / "SegmentationClass/scene.png").unlink()),
    refused="mask",
)


# COCO


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
                _image(folder / images.replace("train", split).format(name=name))
                content["images"].append({"id": number, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT})
                for label, (x0, y0, x1, y1) in enumerate((CELL, OTHER), start=1):
                    item = {"id": len(content["annotations"]) + 1, "image_id": number, "category_id": label}
                    item |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
                    if polygons:
                        item["segmentation"] = [[x0, y0, x1, y0, x1, y1, x0, y1]]
                    content["annotations"].append(item)
            if edit is not None and split == "train":
                edit(content)
            _write(folder / file.replace("train", split), raw(json.dumps(content)).encode(encoding))
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
_add("COCO as it is", "boxes", _coco(), opens=ALL)
_add("COCO without polygons as masks", "masks", _coco(polygons=False), refused="no polygon")
_add("COCO without polygons for mask_rcnn", "polygons", _coco(polygons=False), refused="no polygon")
for empty in ([], [[]], None, {}, [[1, 1, 2, 2]]):
    _add(
        f"COCO with one polygon {json.dumps(empty)}",
        "polygons",
        _coco(_first("annotations", segmentation=empty)),
        refused="1 of 20 objects in train have no polygon",
    )
_add("COCO without objects in train", "boxes", _coco(lambda c: c["annotations"].clear()), refused="no object")
_add(
    "COCO without objects in val",
    "boxes",
    _coco(also=lambda f: _emptied(f / "annotations/instances_val.json")),
    said="split-without-objects",
)
_add(
    "COCO of crowds alone",
    "boxes",
    _coco(_each("annotations", lambda item: item.update(iscrowd=1))),
    refused="no object",
)
for key in ("area", "iscrowd", "id"):
    _add(f"COCO without {key}", "boxes", _coco(_without(key)), opens=ALL)
_add("COCO without bbox", "boxes", _coco(_without("bbox")), opens=ALL)
_add(
    "COCO, ids of images as text in annotations",
    "boxes",
    _coco(_each("annotations", lambda i: i.update(image_id=str(i["image_id"])))),
    opens=ALL,
)
_add(
    "COCO, ids of images as text in images",
    "boxes",
    _coco(_each("images", lambda i: i.update(id=str(i["id"])))),
    opens=ALL,
)
_add(
    "COCO, ids with points",
    "boxes",
    _coco(raw=lambda text: text.replace('"image_id": 3,', '"image_id": 3.0,')),
    opens=ALL,
)
_add(
    "COCO, categories as text",
    "boxes",
    _coco(_each("annotations", lambda i: i.update(category_id=str(i["category_id"])))),
    opens=ALL,
)
_add(
    "COCO, sizes as text",
    "boxes",
    _coco(_each("images", lambda i: i.update(width=str(WIDTH), height=str(HEIGHT)))),
    opens=ALL,
)
_add("COCO, sizes of 0", "boxes", _coco(_each("images", lambda i: i.update(width=0, height=0))), opens=ALL)
_add("COCO, iscrowd false", "boxes", _coco(_each("annotations", lambda i: i.update(iscrowd=False))), opens=ALL)
_add("COCO with a mark before it", "boxes", _coco(encoding="utf-8-sig"), opens=ALL)
_add(
    "COCO, names with backslashes",
    "boxes",
    _coco(_each("images", lambda i: i.update(file_name=f"train\\{i['file_name']}"))),
    opens=ALL,
)
_add(
    "COCO, names from the data folder",
    "boxes",
    _coco(_each("images", lambda i: i.update(file_name=f"train/{i['file_name']}"))),
    opens=ALL,
)
_add(
    "COCO, names of another machine",
    "boxes",
    _coco(_each("images", lambda i: i.update(file_name=f"/home/me/x/train/{i['file_name']}"))),
    opens=ALL,
)
_add(
    "COCO, names without suffix",
    "boxes",
    _coco(_each("images", lambda i: i.update(file_name=i["file_name"][:-4]))),
    opens=ALL,
)
_add(
    "COCO, names in capitals",
    "boxes",
    _coco(_each("images", lambda i: i.update(file_name=i["file_name"].upper()))),
    opens=ALL,
)
_add(
    "COCO, decomposed names",
    "boxes",
    _coco(
        _first("images", file_name="z\u00e4hler.jpg"),
        also=lambda f: (f / "train/t01.jpg").rename(f / "train/za\u0308hler.jpg"),
    ),
    opens={"objects": 24, "images": 12},
)
_add(
    "COCO, a name that climbs out",
    "boxes",
    _coco(_first("images", file_name="../../out.jpg"), also=lambda f: _image(f.parent / "out.jpg")),
    refused="outside",
)
_add(
    "COCO, an image twice",
    "boxes",
    _coco(lambda c: c["images"].append(dict(c["images"][0], id=99))),
    refused="share the file name",
)
_add(
    "COCO, an annotation of no image",
    "boxes",
    _coco(_first("annotations", image_id=77)),
    refused="77, which is not listed",
)
_add(
    "COCO, an annotation of no category",
    "boxes",
    _coco(_first("annotations", category_id=9)),
    refused="9, which is not listed",
)
_add("COCO, two categories of one name", "boxes", _coco(_first("categories", name="other")), refused="two categories")
_add("COCO, a box of no number", "boxes", _coco(raw=lambda t: t.replace("[4, 6,", "[NaN, 6,", 1)), refused="no numbers")
_add("COCO, a box beyond its image", "boxes", _coco(_first("annotations", bbox=[100, 5, 9, 9])), said="box-outside")
_add(
    "COCO, a missing image",
    "boxes",
    _coco(also=lambda f: (f / "train/t03.jpg").unlink()),
    refused="t03.jpg: the image is missing",
)
_add(
    "COCO, a broken image",
    "boxes",
    _coco(also=lambda f: _write(f / "train/t03.jpg", b"\xff\xd8no")),
    refused="t03.jpg: not a readable",
)
_add("COCO, not JSON", "boxes", _coco(raw=lambda text: text[:-9]), refused="JSON|COCO")
_add(
    "COCO results for annotations",
    "boxes",
    lambda f: (
        _image(f / "a.jpg"),
        _write(f / "results.json", '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]'),
    ),
    refused="list of detections",
)
_add(
    "COCO without categories",
    "boxes",
    lambda f: (_image(f / "a.jpg"), _write(f / "x.json", '{"images": [], "annotations": []}')),
    refused="categories",
)
_add(
    "COCO, one class only crowds in train",
    "boxes",
    _coco(_each("annotations", lambda i: i.update(iscrowd=int(i["category_id"] == 2)))),
    opens={"absent": ["other"]},
)
_add(
    "COCO, a class that only val has",
    "boxes",
    _coco(
        lambda c: (c["categories"].pop(), c.update(annotations=[i for i in c["annotations"] if i["category_id"] == 1]))
    ),
    refused="'other'",
)
for file in ("train.json", "annotations/train_coco.json", "train/_annotations.coco.json"):
    _add(f"COCO in {file}", "boxes", _coco(file=file), opens=ALL)
_add("COCO, images a level down", "boxes", _coco(images="data/images/train/{name}.jpg"), opens=ALL)


def _emptied(file: Path) -> None:
    content = json.loads(file.read_text())
    _write(file, json.dumps(content | {"annotations": []}))


# Pascal VOC


def _xml(*objects: tuple[str, Box], size: str = f"<width>{WIDTH}</width><height>{HEIGHT}</height>") -> str:
    items = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        "</bndbox></object>"
        for name, (x0, y0, x1, y1) in objects
    )
    return f"<annotation><size>{size}</size>{items}</annotation>"


def _voc(
    xml: str | bytes = "",
    *,
    images: str = "JPEGImages/{name}.jpg",
    xmls: str = "Annotations/{name}.xml",
    lists: dict[str, str] | None = None,
    also: Callable[[Path], object] | None = None,
) -> Callable[[Path], None]:
    """Ten images; `xml` is that of the first."""

    def make(folder: Path) -> None:
        for number in range(10):
            name = f"t{number}"
            _image(folder / images.format(name=name))
            own = _xml(("cell", CELL), ("other", OTHER))
            _write(folder / xmls.format(name=name), xml if xml and number == 0 else own)
        for name, text in (lists or {}).items():
            _write(folder / f"ImageSets/Main/{name}.txt", text)
        if also is not None:
            also(folder)

    return make


TEN = {"objects": 20, "images": 10, "classes": ("cell", "other")}
for suffix in (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".webp", ".gif", ".Jpg", ".pgm"):
    _add(f"VOC with {suffix}", "boxes", _voc(images="images/{name}" + suffix, xmls="xml/{name}.xml"), opens=TEN)
_add("VOC, an empty width", "boxes", _voc(_xml(("cell", CELL), ("other", OTHER), size="<width/><height/>")), opens=TEN)
_add(
    "VOC, a width of -1",
    "boxes",
    _voc(_xml(("cell", CELL), ("other", OTHER), size="<width>-1</width><height>-1</height>")),
    opens=TEN,
)
_add(
    "VOC, a width of 0",
    "boxes",
    _voc(_xml(("cell", CELL), ("other", OTHER), size="<width>0</width><height>0</height>")),
    opens=TEN,
)
_add(
    "VOC, another size", "boxes", _voc(_xml(("cell", CELL), size="<width>99</width><height>9</height>")), refused="99x9"
)
_add("VOC, swapped corners", "boxes", _voc(_xml(("cell", (20, 22, 4, 6)), ("other", OTHER))), said="box-no-area")
_add("VOC, no numbers", "boxes", _voc(_xml(("cell", CELL)).replace("<xmin>4", "<xmin>four")), refused="xmin is 'four'")
_add(
    "VOC, a polygon alone",
    "boxes",
    _voc(
        "<annotation><object><name>cell</name><polygon><x1>4</x1><y1>6</y1><x2>20</x2><y2>6</y2><x3>20</x3><y3>22</y3></polygon></object></annotation>"
    ),
    opens={"boxes": [list(CELL)]},
)
for encoding in ("utf-16", "latin-1", "gb2312"):
    name = {"latin-1": "Größe", "gb2312": "细胞", "utf-16": "zähler"}[encoding]
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + _xml((name, CELL), ("other", OTHER))
    _add(f"VOC in {encoding}", "boxes", _voc(text.encode(encoding)), opens={"objects": 20, "has": name})
_add(
    "VOC in Latin-1 that says nothing",
    "boxes",
    _voc(_xml(("Größe", CELL), ("other", OTHER)).encode("latin-1")),
    opens={"has": "Größe"},
)
_add("VOC with a mark", "boxes", _voc(_xml(("cell", CELL), ("other", OTHER)).encode("utf-8-sig")), opens=TEN)
_add(
    "VOC, a list with suffixes",
    "boxes",
    _voc(lists={"train": "t0.jpg\nt1.jpg\n", "val": "t2.jpg\n"}),
    opens={"images": 3},
)
_add("VOC, a list with flags", "boxes", _voc(lists={"train": "t0  1\nt1 -1\n", "val": "t2  1\n"}), opens={"images": 3})
_add(
    "VOC, an empty list of val",
    "boxes",
    _voc(lists={"train": "".join(f"t{k}\n" for k in range(10)), "val": "\n"}),
    said="split-missing",
)
_add("VOC, an empty list of train", "boxes", _voc(lists={"train": "\n", "val": "t1\n"}), refused="names no image")
_add("VOC, a listed image that is missing", "boxes", _voc(lists={"train": "t0\nnone\n", "val": "t1\n"}), refused="none")
_add("VOC, a.jpg beside a.png", "boxes", _voc(also=lambda f: _image(f / "JPEGImages/t3.png")), refused="t3.jpg")
_add(
    "VOC, no objects anywhere",
    "boxes",
    lambda f: [(_image(f / f"{k}.jpg"), _write(f / f"{k}.xml", _xml())) for k in range(5)],
    refused="no object",
)
_add(
    "VOC, train2017 and val2017",
    "boxes",
    lambda f: [
        (_image(f / f"{s}2017/{k}.jpg"), _write(f / f"{s}2017/{k}.xml", _xml(("cell", CELL))))
        for k in range(4)
        for s in ("train", "val")
    ],
    opens={"splits": {"train": 4, "val": 4}},
)
_add("VOC, an EXIF value of 65537", "boxes", _voc(also=lambda f: _turned(f / "JPEGImages/t0.jpg", 65537)), opens=TEN)
_add("VOC, an EXIF value of 0", "boxes", _voc(also=lambda f: _turned(f / "JPEGImages/t0.jpg", 0)), opens=TEN)
_add("VOC, an image on its side", "boxes", _voc(also=lambda f: _turned(f / "JPEGImages/t0.jpg", 6)), refused="EXIF")


def _turned(path: Path, value: int) -> None:
    """With an EXIF orientation of four bytes."""
    tag = struct.pack("<HHHII", 1, 0x0112, 4, 1, value)
    _image(path, exif=b"Exif\0\0II*\0\x08\0\0\0" + tag + b"\0\0\0\0")


# YOLO


def _line(label: int, box: Box, *more: float) -> str:
    x0, y0, x1, y1 = box
    values = ((x0 + x1) / 2 / WIDTH, (y0 + y1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT, *more)
    return f"{label} " + " ".join(f"{value:.6f}" for value in values) + "\n"


LINES = _line(0, CELL) + _line(1, OTHER)


def _yolo(
    yaml: str = "names: [cell, other]\ntrain: images/train\nval: images/val\n",
    *,
    images: str = "images/{split}/{name}.jpg",
    labels: str = "labels/{split}/{name}.txt",
    lines: str | bytes = LINES,
    also: Callable[[Path], object] | None = None,
) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for split, count in (("train", 8), ("val", 2)):
            for number in range(count):
                name = f"{split[0]}{number}"
                _image(folder / images.format(split=split, name=name))
                if labels:
                    _write(folder / labels.format(split=split, name=name), lines)
        _write(folder / "data.yaml", yaml)
        if also is not None:
            also(folder)

    return make


for suffix in (".jpg", ".jfif", ".gif", ".webp", ".bmp", ".tiff", ".JPG", ".pgm"):
    _add(f"YOLO with {suffix}", "boxes", _yolo(images="images/{split}/{name}" + suffix), opens=TEN)
_add("YOLO, labels beside the images", "boxes", _yolo(labels="images/{split}/{name}.txt"), opens=TEN)
_add(
    "YOLO, labels beside some images",
    "boxes",
    _yolo(also=lambda f: (f / "labels/train/t0.txt").rename(f / "images/train/t0.txt")),
    opens=TEN,
)
_add("YOLO without labels", "boxes", _yolo(labels=""), refused="no object")
_add("YOLO, labels that are all empty", "boxes", _yolo(lines=""), refused="no object")
_add("YOLO, data below a folder called images", "boxes", lambda f: _yolo()(f / "images"), opens=TEN)
_add(
    "YOLO, linked folders",
    "boxes",
    _yolo(
        also=lambda f: [
            (f / k / "train").rename(f / f"{k}_real") and (f / k / "train").symlink_to(f / f"{k}_real")
            for k in ("images", "labels")
        ]
    ),
    opens=TEN,
)
_add(
    "YOLO, classes yes and no",
    "boxes",
    _yolo("names: [yes, no]\ntrain: images/train\nval: images/val\n"),
    opens={**TEN, "classes": ("yes", "no")},
)
_add(
    "YOLO, classes 010 and 1e3",
    "boxes",
    _yolo("names: [010, 1e3]\ntrain: images/train\nval: images/val\n"),
    opens={**TEN, "classes": ("010", "1e3")},
)
_add(
    "YOLO, a mapping with text",
    "boxes",
    _yolo("names: {'0': cell, '1': other}\ntrain: images/train\nval: images/val\n"),
    opens=TEN,
)
_add(
    "YOLO, a mapping from 1",
    "boxes",
    _yolo("names: {1: cell, 2: other}\ntrain: images/train\nval: images/val\n"),
    refused="numbers",
)
_add(
    "YOLO, val and valid",
    "boxes",
    _yolo("names: [cell, other]\ntrain: images/train\nval: images/val\nvalid: images/val\n"),
    refused="val and valid",
)
_add(
    "YOLO, a test that is empty",
    "boxes",
    _yolo(
        "names: [cell, other]\ntrain: images/train\nval: images/val\ntest: images/test\n",
        also=lambda f: (f / "images/test").mkdir(),
    ),
    said="split-missing",
)
_add(
    "YOLO, a test of null",
    "boxes",
    _yolo("names: [cell, other]\ntrain: images/train\nval: images/val\ntest: ~\n"),
    opens=TEN,
)
_add(
    "YOLO, key points of three numbers",
    "boxes",
    _yolo(
        lines="".join(
            _line(k, box, *[v for p in ((0.3, 0.4, 2), (0.35, 0.5, 1)) for v in p])
            for k, box in ((0, CELL), (0, CELL), (1, CELL))
        )
    ),
    refused="key points",
)
_add(
    "YOLO, key points of two numbers",
    "boxes",
    _yolo(lines="".join(_line(0, CELL, 0.3, 0.4, 0.35, 0.5, 0.2, 0.3) for _ in range(3))),
    refused="key points",
)
_add("YOLO, track ids", "boxes", _yolo(lines="".join(_line(0, CELL, 7) for _ in range(2))), refused="track")
_add(
    "YOLO, four corners",
    "boxes",
    _yolo(lines="0 0.1 0.2 0.5 0.2 0.5 0.7 0.1 0.7\n1 0.1 0.2 0.5 0.2 0.5 0.7 0.1 0.7\n"),
    opens={"boxes": [[4, 6, 20, 21]] * 2},
)
_add("YOLO, classes from 1", "boxes", _yolo(lines=_line(1, CELL) + _line(2, OTHER)), refused="count from 1")
_add("YOLO in pixels", "boxes", _yolo(lines="0 12 14 16 16\n"), refused="no shares")
_add("YOLO, words", "boxes", _yolo(lines="cell 0.5 0.5 0.1 0.1\n"), refused="not made of numbers")
_add(
    "YOLO, carriage returns and a mark",
    "boxes",
    _yolo(lines=b"\xef\xbb\xbf" + LINES.replace("\n", "  \r\n").encode()),
    opens=TEN,
)
_add("YOLO, boxes for mask_rcnn", "polygons", _yolo(), refused="polygon")
_add(
    "YOLO, a path of another machine",
    "boxes",
    _yolo("path: /home/me/cells\nnames: [cell, other]\ntrain: images/train\nval: images/val\n"),
    opens=TEN,
)
_add(
    "YOLO, two classes of a name",
    "boxes",
    _yolo("names: [cell, cell]\ntrain: images/train\nval: images/val\n"),
    refused="share a name",
)
_add(
    "YOLO without a YAML",
    "boxes",
    lambda f: [(_image(f / f"{k}.jpg"), _write(f / f"{k}.txt", LINES)) for k in range(3)],
    refused="classes.txt",
)


# Tables and tools


def _csv(text: str, *, count: int = 5, encoding: str = "utf-8") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for number in range(count):
            _image(folder / f"images/{number}.jpg")
        _write(folder / "boxes.csv", text.encode(encoding))

    return make


def _rows(line: str, header: str = "image,xmin,ymin,xmax,ymax,class") -> str:
    return header + "\n" + "".join(line.format(k=k) + "\n" for k in range(5))


FIVE = {"objects": 5, "images": 5, "boxes": [list(CELL)]}
_add("CSV", "boxes", _csv(_rows("{k}.jpg,4,6,20,22,cell")), opens=FIVE)
_add(
    "CSV with semicolons", "boxes", _csv(_rows("{k}.jpg;4;6;20;22;cell", "image;xmin;ymin;xmax;ymax;class")), opens=FIVE
)
_add("CSV in shares", "boxes", _csv(_rows("{k}.jpg,0.1,0.2,0.5,0.7333333,cell")), opens={"objects": 5, "images": 5})
_add(
    "CSV, mostly shares",
    "boxes",
    _csv(_rows("{k}.jpg,0.1,0.2,0.5,0.7,cell") + "0.jpg,4,6,20,22,cell\n"),
    refused="shares",
)
_add(
    "CSV, a missing image",
    "boxes",
    _csv(_rows("{k}.jpg,4,6,20,22,cell") + "9.jpg,4,6,20,22,cell\n"),
    refused="'9.jpg' is not there",
)
_add(
    "CSV, two paths of one image",
    "boxes",
    _csv(_rows("a/{k}.jpg,4,6,20,22,cell") + "b/0.jpg,4,6,20,22,cell\n"),
    refused="both lead to",
)
_add("CSV, empty rows", "boxes", _csv(_rows("{k}.jpg,4,6,20,22,cell") + ",,,,,\n\n"), opens=FIVE)
_add(
    "CSV, an image without objects",
    "boxes",
    _csv(_rows("{k}.jpg,4,6,20,22,cell") + "5.jpg,,,,,\n", count=6),
    opens={"objects": 5, "images": 6},
)
_add("CSV, no number", "boxes", _csv(_rows("{k}.jpg,4,6,20,x,cell")), refused="line 2: ymax is 'x'")
_add("CSV without corners", "boxes", _csv(_rows("{k}.jpg,cell", "image,class")), refused="none for xmin")
_add(
    "CSV in UTF-16", "boxes", _csv(_rows("{k}.jpg,4,6,20,22,zähler"), encoding="utf-16"), opens={"classes": ("zähler",)}
)
_add(
    "CSV in Latin-1", "boxes", _csv(_rows("{k}.jpg,4,6,20,22,Größe"), encoding="latin-1"), opens={"classes": ("Größe",)}
)
_add(
    "CSV beside the images of another folder",
    "boxes",
    lambda f: (_csv(_rows("{k}.jpg,4,6,20,22,cell"))(f), [_image(f / f"masks/{k}.jpg") for k in range(5)]),
    opens=FIVE,
)


def _labelme(*shapes: dict[str, Any], **more: Any) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for number in range(5):
            _image(folder / f"{number}.jpg")
            content = {"shapes": list(shapes), "imagePath": f"{number}.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH}
            _write(folder / f"{number}.json", json.dumps(content | more))

    return make


def _shape(label: Any = "cell", kind: str = "rectangle", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": [[4, 6], [20, 22]], "shape_type": kind, "group_id": None, **more}


_add("LabelMe", "boxes", _labelme(_shape()), opens=FIVE)
_add("LabelMe, a label that is a number", "boxes", _labelme(_shape(3)), opens={**FIVE, "classes": ("3",)})
_add(
    "LabelMe, groups called nothing",
    "boxes",
    _labelme(_shape(group_id=""), _shape(group_id="", points=[[22, 4], [36, 20]])),
    opens={"objects": 10},
)
_add("LabelMe, lines alone", "boxes", _labelme(_shape(kind="line")), refused="no object")
_add("LabelMe, lines besides", "boxes", _labelme(_shape(), _shape(kind="line")), said="shape-no-area")
_add("LabelMe, a shape without a label", "boxes", _labelme(_shape(), _shape(None)), said="shape-unlabelled")
_add("LabelMe as masks", "masks", _labelme(_shape()), opens={"classes": ("background", "cell"), "labels": {0, 1}})
_add(
    "LabelMe, other JSON beside",
    "boxes",
    lambda f: (_labelme(_shape())(f), _write(f / "config.json", '{"a": 1}')),
    opens=FIVE,
)


# Whether it is as it should be


def wrong(report: Report, folder: Path) -> str | None:
    """What is wrong with what `open_data` makes of a case; None where nothing is."""
    from backbones import InputError
    from tasks.config import DetectionData, SegmentationData
    from tasks.data import open_data

    report.make(folder)
    kind: Any = SegmentationData if report.kind == "masks" else DetectionData
    try:
        data: Any = open_data(kind(path=str(folder), **report.settings), report.kind)  # type: ignore[arg-type]
        found = _found(report, data)
    except InputError as error:
        if report.refused is None:
            return f"refused: {error}"
        import re

        return None if re.search(report.refused, str(error)) and "\n" not in str(error) else f"says: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if report.refused is not None:
        return f"opened: {data}"
    if report.said is not None:
        names = {finding.check for finding in data.findings}
        return None if report.said in names else f"says {sorted(names)}"
    lines = [
        f"{name}: {found[name]}, not {value}" for name, value in (report.opens or {}).items() if found[name] != value
    ]
    return "; ".join(lines) or None


def _found(report: Report, data: Any) -> dict[str, Any]:
    splits = {split: list(samples) for split, samples in data.splits.items()}
    found: dict[str, Any] = {"classes": data.classes, "images": sum(map(len, splits.values()))}
    found["splits"] = {split: len(samples) for split, samples in splits.items()}
    found["absent"] = data.classes_without_objects()
    if report.kind == "masks":
        masks = [sample.mask.labels() for samples in splits.values() for sample in samples]
        return found | {
            "labels": {int(label) for mask in masks for label in np.unique(mask)},
            "first": int(masks[0][0, 0]),
        }
    samples = [sample for items in splits.values() for sample in items]
    first = min(samples, key=lambda sample: Path(sample.name).name)
    names = {data.classes[label] for sample in samples for label in sample.labels}
    wanted = (report.opens or {}).get("has")
    boxes = np.round(first.boxes, 2).tolist()
    return found | {
        "objects": sum(len(one.labels) for one in samples),
        "boxes": boxes,
        "has": wanted if wanted in names else names,
    }


def main() -> None:
    results = {}
    for name, report in REPORTS.items():
        with tempfile.TemporaryDirectory() as folder:
            results[name] = wrong(report, Path(folder) / "data")
    bad = {name: text for name, text in results.items() if text is not None}
    for name, text in bad.items():
        print(f"{name}: {text[:200]}")
    print(f"{len(bad)} of {len(results)} are wrong")


if __name__ == "__main__":
    main()
