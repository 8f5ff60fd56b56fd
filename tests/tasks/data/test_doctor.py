"""The doctor finds what was planted, and nothing else; a training meets it with one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backbones.errors import InputError
from tasks.config import DataSettings
from tasks.data.doctor import examine
from tasks.data.doctor.fix import fix
from tasks.data.faults import CHECKS
from tasks.data.open import open_data
from tasks.data.transforms import DetectionTransform
from tests.writers import Pictures, write_coco, write_voc, write_yolo

WIDTH, HEIGHT = 64, 48
TRAIN, VAL = "annotations/instances_train.json", "annotations/instances_val.json"
BOXES = [("red", 4, 6, 30, 40), ("white", 32, 8, 60, 30), ("red", 20, 20, 50, 44), ("white", 2, 2, 18, 20)]
SPLITS: dict[str, Pictures] = {
    "train": {f"t{number}": list(BOXES) for number in range(12)},
    "val": {f"v{number}": list(BOXES) for number in range(2)},
}


def _coco(folder: Path) -> Path:
    def outlined(_split: str, content: dict[str, Any]) -> None:
        for item in content["annotations"]:
            x, y, w, h = item["bbox"]
            item["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]

    return write_coco(folder, SPLITS, [(3, "white"), (7, "red")], edit=outlined)


def _masks(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 2)):
        for number in range(count):
            for kind in ("images", "masks"):
                (folder / split / kind).mkdir(parents=True, exist_ok=True)
            picture = generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / split / f"images/{number}.jpg")
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[10:30, 10:40] = 1
            Image.fromarray(mask).save(folder / split / f"masks/{number}.png")
    (folder / "classes.txt").write_text("ground\ncell\n")
    return folder


CLEAN: dict[str, Callable[[Path], Path]] = {
    "coco": _coco,
    "voc": lambda folder: write_voc(folder, SPLITS),
    "yolo": lambda folder: write_yolo(folder, SPLITS, ["white", "red"]),
    "masks": _masks,
    "coco as masks": _coco,
}


def _edit(split: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        file = folder / f"annotations/instances_{split}.json"
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return plant


def _object(**values: Any) -> Callable[[Path], None]:
    """Change the first object of train."""
    return _edit("train", lambda content: content["annotations"][0].update(values))


def _one_more(count: int = 1, **values: Any) -> Callable[[Path], None]:
    """Another object for the first picture of train, with whatever box and class."""

    def change(content: dict[str, Any]) -> None:
        items = content["annotations"]
        for number in range(count):
            box = [float(value) for value in values.get("bbox", (10, 5 + 0.1 * number, 20, 21))]
            x, y, w, h = box
            outline = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            item = {
                "id": max(one["id"] for one in items) + 1,
                "image_id": 1,
                "category_id": 7,
                "iscrowd": 0,
                "segmentation": outline,
            }
            items.append(item | {"area": w * h} | values | {"bbox": box})

    return _edit("train", change)


def _saved(picture: Image.Image, **options: Any) -> Callable[[Path], None]:
    return lambda folder: picture.save(folder / "train/t0.jpg", **options)


def _noise(width: int = WIDTH, height: int = HEIGHT, seed: int = 9) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def _turned(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    _noise(HEIGHT, WIDTH).save(folder / "train/t0.jpg", exif=exif)


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
    return _edit(split, lambda content: content["categories"].append({"id": 9, "name": name}))


def _both(*plants: Callable[[Path], Any]) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        for one in plants:
            one(folder)

    return plant


def _without(split: str, keep: Callable[[dict[str, Any]], bool]) -> Callable[[Path], None]:
    def change(content: dict[str, Any]) -> None:
        content["annotations"] = [item for item in content["annotations"] if keep(item)]

    return _edit(split, change)


def _text(file: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_text((folder / file).read_text().replace(old, new, 1))


def _line(text: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        with (folder / "labels/train/t0.txt").open("a") as file:
            file.write(f"{text}\n")

    return plant


def _nothing(split: str) -> Callable[[Path], None]:
    return _without(split, lambda item: False)


def _runs(counts: Any) -> dict[str, Any]:
    return {"size": [HEIGHT, WIDTH], "counts": counts}


def _one_picture(folder: Path) -> None:
    (folder / "ImageSets/Main/val.txt").unlink()
    (folder / "ImageSets/Main/train.txt").write_text("t0\n")


FEW_WHITE = _without("train", lambda item: item["category_id"] == 7 or item["id"] == 2)

# what is planted -> where, how, what is found
PLANTED: dict[str, tuple[str, Callable[[Path], Any], set[str]]] = {
    "a missing picture": ("coco", lambda d: (d / "train/t0.jpg").unlink(), {"picture-missing"}),
    "a missing picture of VOC": ("voc", lambda d: (d / "JPEGImages/t0.jpg").unlink(), {"picture-missing"}),
    "a broken picture of VOC without sizes": (
        "voc",
        _both(
            _text("Annotations/t0.xml", "<size><width>64</width><height>48</height><depth>3</depth></size>", ""),
            lambda d: (d / "JPEGImages/t0.jpg").write_text("no"),
        ),
        {"picture-unreadable"},
    ),
    "a broken picture of YOLO": (
        "yolo",
        lambda d: (d / "images/train/t0.jpg").write_text("no"),
        {"picture-unreadable"},
    ),
    "text for a picture": ("coco", lambda d: (d / "train/t0.jpg").write_text("no"), {"picture-unreadable"}),
    "half a picture": (
        "coco",
        lambda d: (d / "train/t0.jpg").write_bytes((d / "train/t0.jpg").read_bytes()[:900]),
        {"picture-truncated"},
    ),
    "a resized picture": ("coco", _saved(_noise(128, 96)), {"picture-size"}),
    "a picture listed twice": (
        "coco",
        _edit("train", lambda content: content["images"].append(dict(content["images"][0], id=99))),
        {"picture-listed-twice"},
    ),
    "an id of two pictures": (
        "coco",
        _edit("train", lambda content: content["images"].append(dict(content["images"][0], file_name="u.jpg"))),
        {"picture-listed-twice"},
    ),
    "broken XML": ("voc", lambda d: (d / "Annotations/t0.xml").write_text("<annotation"), {"annotation-unreadable"}),
    "broken JSON": ("coco", lambda d: (d / VAL).write_text("{"), {"annotation-unreadable"}),
    "a YOLO line of words": ("yolo", _line("red 0.5 0.5 0.1 0.1"), {"annotation-unreadable"}),
    "a YOLO line too short": ("yolo", _line("1 0.5 0.5 0.1"), {"annotation-unreadable"}),
    "an annotation of no picture": ("coco", _one_more(image_id=99), {"annotation-orphan"}),
    "an annotation of no category": ("coco", _object(category_id=99), {"class-unknown"}),
    "a class that only val has": (
        "voc",
        _text("Annotations/v0.xml", "<name>red</name>", "<name>blue</name>"),
        {"class-unknown"},
    ),
    "YOLO classes counted from 1": ("yolo", _line("2 0.5 0.5 0.2 0.25"), {"class-unknown"}),
    "a category listed twice": (
        "coco",
        _edit("train", lambda content: content["categories"].append({"id": 7, "name": "red"})),
        {"class-twice"},
    ),
    "no train file": ("coco", lambda d: (d / TRAIN).unlink(), {"data-unusable"}),
    "one picture and no val": (
        "voc",
        _one_picture,
        {"split-impossible", "class-rare", "label-unlisted", "picture-unlisted"},
    ),
    "a name of two classes": ("masks", lambda d: (d / "classes.txt").write_text("a\na\n"), {"class-twice"}),
    "a coordinate NaN": ("coco", _object(bbox=[float("nan"), 6, 26, 34]), {"box-not-a-number"}),
    "an infinite coordinate": ("voc", _text("Annotations/t0.xml", ">30<", ">inf<"), {"box-not-a-number"}),
    "YOLO in pixels": ("yolo", _line("1 30 20 10 10"), {"box-not-a-number"}),
    "YOLO NaN": ("yolo", _line("1 nan 0.5 0.1 0.1"), {"box-not-a-number"}),
    "a box of no width": (
        "coco",
        _one_more(bbox=[5, 5, 0, 20]),
        {"box-no-area"},
    ),
    "a box turned around": ("voc", _text("Annotations/t0.xml", "<xmax>30", "<xmax>2"), {"box-no-area"}),
    "a box elsewhere": ("coco", _one_more(bbox=[200, 5, 20, 20]), {"box-outside"}),
    "a box half outside": ("coco", _one_more(bbox=[-8, 5, 40, 20]), {"box-clipped"}),
    "a box twice": ("coco", _one_more(bbox=[4, 6, 26, 34]), {"box-twice"}),
    "a box of two classes": ("coco", _one_more(bbox=[4, 6, 26, 34], category_id=3), {"box-two-classes"}),
    "a box around everything": ("coco", _one_more(bbox=[0, 0, 64, 48]), {"box-whole-picture"}),
    "a tiny box": ("coco", _one_more(bbox=[5, 5, 2, 9]), {"box-tiny"}),
    "too many objects": ("coco", _one_more(count=101), {"objects-many"}),
    "an area of nothing": ("coco", _object(area=0), {"area-odd"}),
    "an area beyond its box": ("coco", _object(area=5000), {"area-odd"}),
    "an outline of words": ("coco", _object(segmentation="round"), {"outline-broken"}),
    "an outline for another size": ("coco", _object(segmentation={"size": [9, 9], "counts": [81]}), {"outline-broken"}),
    "no outline": ("coco", _object(segmentation=[]), {"outline-missing"}),
    "an outline of no numbers": ("coco", _object(segmentation=[[1, 1, 9, 1, 9, float("nan")]]), {"outline-broken"}),
    "an outline a world away": ("coco", _object(segmentation=[[1, 1, 9, 1, 9, 3e8]]), {"outline-broken"}),
    "runs that end too early": ("coco", _object(segmentation=_runs([1000, 20])), {"outline-broken"}),
    "compressed runs that end too early": ("coco", _object(segmentation=_runs("X1")), {"outline-broken"}),
    "runs of less than nothing": ("coco", _object(segmentation=_runs([-5, 3077])), {"outline-broken"}),
    "no outline for a mask": ("coco as masks", _object(segmentation=[]), {"outline-missing"}),
    "an outline elsewhere": ("coco", _object(segmentation=[[40, 40, 60, 40, 60, 47]]), {"outline-off-box"}),
    "an annotation id twice": ("coco", _object(id=2), {"annotation-id-twice"}),
    "an annotation id 0": ("coco", _object(id=0), {"annotation-id-zero"}),
    "a picture of train in val": ("coco", _copied("train/t0.jpg", "val/v0.jpg"), {"picture-leaked"}),
    "a picture twice": ("coco", _copied("train/t0.jpg", "train/t1.jpg"), {"picture-twice"}),
    "an unused class": ("coco", _category("blue"), {"class-unused"}),
    "a class that train has none of": (
        "coco",
        _both(
            _category("blue"),
            _category("blue", "val"),
            _edit("val", lambda content: content["annotations"][0].update(category_id=9)),
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
        _both(_category("Red"), _one_more(count=10, category_id=9)),
        {"class-names-alike", "class-not-in-split"},
    ),
    "no object at all": ("coco", _both(_nothing("train"), _nothing("val")), {"class-none", "picture-empty"}),
    "a rare class": ("coco", FEW_WHITE, {"class-rare"}),
    "a class a hundred times rarer": ("coco", _both(FEW_WHITE, _one_more(count=90)), {"class-rare", "class-balance"}),
    "a picture without objects": ("coco", _without("train", lambda item: item["image_id"] != 1), {"picture-empty"}),
    "a picture in no list": ("coco", lambda d: _noise().save(d / "train/extra.png"), {"picture-unlisted"}),
    "XML in no list": ("voc", _copied("Annotations/t0.xml", "Annotations/u.xml"), {"label-unlisted"}),
    "labels of no picture": ("yolo", _copied("labels/train/t0.txt", "labels/train/u.txt"), {"label-unlisted"}),
    "a crowd": ("coco", _object(iscrowd=1), {"crowd"}),
    "a turned picture": ("coco", _turned, {"picture-turned"}),
    "a grey picture": ("coco", _saved(_noise().convert("L")), {"picture-grey"}),
    "a palette": ("coco", _saved(_noise().convert("P"), format="PNG"), {"picture-palette"}),
    "an alpha channel": ("coco", _saved(_noise().convert("RGBA"), format="PNG"), {"picture-alpha"}),
    "16 bits": (
        "coco",
        _saved(Image.fromarray(np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH)), format="PNG"),
        {"picture-deep"},
    ),
    "CMYK": ("coco", _saved(_noise().convert("CMYK")), {"picture-cmyk"}),
    "a missing mask": ("masks", lambda d: (d / "train/masks/0.png").unlink(), {"mask-missing"}),
    "text for a mask": ("masks", lambda d: (d / "train/masks/0.png").write_text("no"), {"mask-unreadable"}),
    "a coloured mask": ("masks", lambda d: _noise().save(d / "train/masks/0.png"), {"mask-stray"}),
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
    "a mask of no picture": ("masks", _copied("train/masks/0.png", "train/masks/u.png"), {"label-unlisted"}),
    "a broken outline for a mask": ("coco as masks", _object(segmentation="round"), {"outline-broken"}),
}


def _task(form: str) -> tuple[str, bool]:
    return ("segmentation" if "masks" in form else "detection"), form == "coco"


@pytest.mark.parametrize("form", CLEAN)
def test_nothing_is_found_in_clean_data(tmp_path: Path, form: str) -> None:
    task, outlines = _task(form)
    found = examine(DataSettings(image_size=64, path=str(CLEAN[form](tmp_path / "data"))), task, outlines=outlines)
    assert found.findings == ()
    assert not found.fails
    assert all((values > 0).all() for values in found.counts.values())


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found_and_nothing_else(tmp_path: Path, what: str) -> None:
    form, plant, expected = PLANTED[what]
    folder = CLEAN[form](tmp_path / "data")
    plant(folder)
    settings, (task, outlines) = DataSettings(image_size=64, path=str(folder)), _task(form)
    found = examine(settings, task, outlines=outlines)
    assert {finding.name for finding in found.findings} == expected
    assert found.fails == any(CHECKS[name].level == "error" for name in expected)
    for finding in found.findings:
        assert all("\n" not in fault.message for fault in finding.faults)
    if not found.fails:
        _train_on(settings, task, outlines)
        return
    with pytest.raises(InputError) as caught:
        _train_on(settings, task, outlines)
    assert str(caught.value) in {fault.message for finding in found.findings for fault in finding.faults}


def _train_on(settings: DataSettings, task: str, outlines: bool) -> None:
    """Read everything as a training would; masks and outlines are met when they are read."""
    for sample in open_data(settings, task, outlines=outlines).splits["train"]:
        if task == "segmentation":
            sample.mask.labels()
        else:
            DetectionTransform(64, masks=outlines)(sample, 0)


def test_every_check_is_planted() -> None:
    assert {name for _, _, expected in PLANTED.values() for name in expected} == set(CHECKS)


def test_all_at_once_are_all_found(tmp_path: Path) -> None:
    """One fault does not hide another."""
    folder = _coco(tmp_path / "data")
    together = [
        "an annotation of no picture",
        "a coordinate NaN",
        "a box of no width",
        "a box elsewhere",
        "an annotation of no category",
        "a picture of train in val",
        "a class that val has none of",
    ]
    (folder / "train/t3.jpg").unlink()
    (folder / "train/t4.jpg").write_text("no picture")
    for what in together[:1] + together[2:4] + together[5:]:
        PLANTED[what][1](folder)
    _edit("train", lambda content: content["annotations"][5].update(category_id=99))(folder)
    _object(bbox=[float("nan"), 6, 26, 34])(folder)
    found = {finding.name for finding in examine(DataSettings(image_size=64, path=str(folder)), "detection").findings}
    expected = {name for what in together for name in PLANTED[what][2]}
    assert found == expected | {"picture-missing", "picture-unreadable"}


def test_fix_keeps_two_objects_of_one_box(tmp_path: Path) -> None:
    """A triangle and a rectangle: only their outlines tell them apart."""
    folder = _coco(tmp_path / "data")
    _one_more(bbox=[4, 6, 26, 34], segmentation=[[4, 6, 30, 40, 4, 40]])(folder)
    _one_more(bbox=[5, 5, 0, 20])(folder)
    found = examine(DataSettings(image_size=64, path=str(folder)), "detection")
    faults = [fault for finding in found.findings for fault in finding.faults]
    assert {fault.check for fault in faults} == {"box-twice", "box-no-area"}
    (mended,) = fix(faults, [folder], tmp_path / "mended")
    assert len(json.loads(mended.read_text())["annotations"]) == 49


def test_fix_of_several_folders_some_behind_links(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = write_voc(tmp_path / "store" / name, SPLITS)
        _text("Annotations/t0.xml", "<xmax>30", "<xmax>2")(folder)
        for number, picture in enumerate(sorted((folder / "JPEGImages").iterdir())):
            _noise(seed=number + 100 * (name == "a")).save(picture)
    (tmp_path / "b").symlink_to(tmp_path / "store/b")
    folders = [tmp_path / "store/a", tmp_path / "b"]
    settings = DataSettings(image_size=64, path=str(folders[0]), also=(str(folders[1]),))
    findings = examine(settings, "detection").findings
    assert [finding.name for finding in findings] == ["box-no-area"]
    written = fix(findings[0].faults, folders, tmp_path / "mended")
    assert written == [tmp_path / f"mended/{name}/Annotations/t0.xml" for name in ("a", "b")]


@pytest.mark.parametrize("form", ["coco", "voc", "yolo"])
def test_fix_writes_new_files_without_the_faults(tmp_path: Path, form: str) -> None:
    folder = CLEAN[form](tmp_path / "data")
    if form == "coco":
        plants = ["a box of no width", "a box twice", "an annotation of no picture", "an annotation id 0"]
        for what in plants:
            PLANTED[what][1](folder)
        changed = TRAIN
    elif form == "voc":
        changed = "Annotations/t0.xml"
        _text(changed, "<xmax>30", "<xmax>2")(folder)
    else:
        changed = "labels/train/t0.txt"
        file = folder / changed
        file.write_text("\n" + file.read_text() + file.read_text().splitlines()[0] + "\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    settings = DataSettings(image_size=64, path=str(folder))
    found = examine(settings, "detection")
    assert found.findings
    faults = [fault for finding in found.findings for fault in finding.faults]
    written = fix(faults, [folder], tmp_path / "mended")
    assert written == [tmp_path / "mended" / changed]
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="exists already"):
        fix(faults, [folder], tmp_path / "mended")
    (folder / changed).write_bytes(written[0].read_bytes())
    again = examine(settings, "detection")
    assert again.findings == ()
    assert again.counts["train"].sum() == 48 - (form == "voc")
