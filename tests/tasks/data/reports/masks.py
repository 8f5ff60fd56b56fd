"""Masks: their values, names, files and folders."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.tasks.data.reports.base import HEIGHT, WIDTH, add, save, write


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
                save(folder / images.format(split=split, name=name))
                path = folder / masks_at.format(split=split, name=name)
                path.parent.mkdir(parents=True, exist_ok=True)
                (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(path)
        if names:
            write(folder / "classes.txt", names)
        if also is not None:
            also(folder)

    return make


TWO = {"classes": ("ground", "cell"), "labels": {0, 1}}
GIVEN = {"classes": ("ground", "cell")}
add("masks of 0 and 255, named by a flag", "masks", _masks(_mask(0, 255)), opens=TWO, settings=GIVEN)
add("masks of 0 and 255, named by a file", "masks", _masks(_mask(0, 255), names="ground\ncell\n"), opens=TWO)
add("masks of 0 and 255, black ones first", "masks", _masks(*[_mask(0)] * 25, _mask(0, 255)), opens=TWO, settings=GIVEN)
add("masks of 0 and 255, unnamed", "masks", _masks(_mask(0, 255)), opens={"classes": ("0", "255"), "labels": {0, 1}})
add("masks of 0, 1 and 255", "masks", _masks(_mask(0, 1, 255)), opens={**TWO, "labels": {0, 1, 255}}, settings=GIVEN)
add("one name for 0 and 255", "masks", _masks(_mask(0, 255)), refused="name two", settings={"classes": ("cell",)})
add("three names for 0 and 255", "masks", _masks(_mask(0, 255)), refused="two", settings={"classes": ("a", "b", "c")})
add(
    "255 said to be ignored in 0 and 255",
    "masks",
    _masks(_mask(0, 255)),
    refused="255 is ignored",
    settings={**GIVEN, "ignore_index": 255},
)
add(
    "a named class said to be ignored",
    "masks",
    _masks(_mask(0, 1, 2)),
    refused="'cell' has the value 1, which is ignored",
    settings={"classes": ("ground", "cell", "dirt"), "ignore_index": 1},
)
add("black masks alone", "masks", _masks(_mask(0), _mask(0)), refused="nothing", settings=GIVEN)
add("masks that are all ignored", "masks", _masks(_mask(255), _mask(255)), refused="nothing|no class|ignored")
add("white masks of val", "masks", _masks(_mask(0, 1), _mask(1)), said="split-without-objects", settings=GIVEN)
add("1-bit masks", "masks", _masks(Image.fromarray(_mask(0, 1) > 0)), opens=TWO, settings=GIVEN)
for white in (1, 255):
    add(
        f"1-bit masks among 8-bit ones of {white}",
        "masks",
        _masks(Image.fromarray(_mask(0, 1) > 0), _mask(0, white)),
        opens=TWO,
        settings=GIVEN,
    )
add(
    "a palette under named colours",
    "masks",
    _masks(_palette(0, 1, colours=[(0, 0, 255), (255, 0, 0)]), names="ground 255 0 0\ncell 0 0 255\n"),
    opens={**TWO, "first": 1},
)
add(
    "a palette by positions", "masks", _masks(_palette(0, 1, colours=[(9, 9, 9), (5, 0, 0)])), opens=TWO, settings=GIVEN
)
add(
    "colours without a table",
    "masks",
    _masks(_palette(0, 1, colours=[(0, 0, 255), (255, 0, 0)]).convert("RGB")),
    refused="in colours",
)
add(
    "a colour that the table lacks",
    "masks",
    _masks(_palette(0, 1, colours=[(0, 0, 255), (255, 0, 0)]).convert("RGB"), names="ground 255 0 0\ncell 0 9 9\n"),
    refused="does not name",
)
add("grey masks as RGB", "masks", _masks(Image.fromarray(_mask(0, 1)).convert("RGB")), opens=TWO, settings=GIVEN)
add("grey masks with alpha", "masks", _masks(Image.fromarray(_mask(0, 1)).convert("LA")), opens=TWO, settings=GIVEN)
add("16-bit masks", "masks", _masks(_mask(0, 300, dtype=np.uint16)), opens={"classes": ("0", "300"), "labels": {0, 1}})
TIF = "{split}/masks/{name}.tif"
add("masks of 70000", "masks", _masks(_mask(0, 70000, dtype=np.int32), masks_at=TIF), refused="70000")
add("masks of 65536", "masks", _masks(_mask(0, 65536, dtype=np.int32), masks_at=TIF), refused="65536")
add("masks of -1", "masks", _masks(_mask(0, -1, dtype=np.int32), masks_at=TIF), refused="-1")
add("masks of 0.5", "masks", _masks(_mask(0, 0.5, dtype=np.float32), masks_at=TIF), refused="0.5")
add("masks of NaN", "masks", _masks(_mask(0, np.nan, dtype=np.float32), masks_at=TIF), refused="nan")
add("masks of whole floats", "masks", _masks(_mask(0, 1, dtype=np.float32), masks_at=TIF), opens=TWO, settings=GIVEN)
add("a value beyond the names", "masks", _masks(_mask(0, 7)), refused="value 7", settings=GIVEN)


def _soft() -> np.ndarray[Any, Any]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows - 14, columns - 20)
    return np.clip((10 - distance) * 120 + 128, 0, 255).astype(np.uint8)


add("soft edges", "masks", _masks(_soft()), refused="soft edges")
add("masks of 254 for white", "masks", _masks(np.minimum(_soft(), 254)), refused="mask.threshold")
add(
    "masks saved as JPEG",
    "masks",
    _masks(np.where(_soft() > 250, 255, 0).astype(np.uint8), masks_at="{split}/masks/{name}.jpg"),
    refused="JPEG",
)
add("soft edges, thresholded", "masks", _masks(_soft()), opens=TWO, settings={**GIVEN, "mask_threshold": 128})
add(
    "numbers of objects as classes",
    "masks",
    _masks(np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH)),
    refused="numbers of objects",
)
for suffix in (".tif", ".bmp", ".gif", ".pgm", ".PNG", ".tiff"):
    add(
        f"masks as {suffix}",
        "masks",
        _masks(_mask(0, 1), masks_at="{split}/masks/{name}" + suffix),
        opens=TWO,
        settings=GIVEN,
    )
for words in ("image mask", "imgs annotations", "photos gt", "images labels", "Images Masks", "original groundtruth"):
    one, other = words.split()
    add(
        f"folders called {one} and {other}",
        "masks",
        _masks(_mask(0, 1), images="{split}/" + one + "/{name}.png", masks_at="{split}/" + other + "/{name}.png"),
        opens=TWO,
        settings=GIVEN,
    )
for ending in ("_mask", "_label", "-seg", "_GT", "_segmentation_mask"):
    add(
        f"masks ending in {ending}",
        "masks",
        _masks(_mask(0, 1), _mask(1, 0), masks_at="{split}/masks/{name}" + ending + ".png"),
        opens=TWO,
        settings=GIVEN,
    )
add(
    "blanks and brackets in names",
    "masks",
    _masks(_mask(0, 1), images="{split}/images/a [1] {name}.png", masks_at="{split}/masks/a [1] {name}.png"),
    opens=TWO,
    settings=GIVEN,
)
add(
    "masks and labels side by side",
    "masks",
    _masks(_mask(0, 1), also=lambda f: shutil.copytree(f / "train/masks", f / "train/labels")),
    refused="keep one",
)
add(
    "val and valid side by side",
    "masks",
    _masks(_mask(0, 1), also=lambda f: shutil.copytree(f / "val", f / "valid")),
    refused="valid",
)
add(
    "two masks of one name",
    "masks",
    _masks(_mask(0, 1), also=lambda f: Image.fromarray(_mask(0, 1)).save(f / "train/masks/t0.tif")),
    refused="one name",
)
add(
    "a missing mask",
    "masks",
    _masks(_mask(0, 1), _mask(0, 1), also=lambda f: (f / "train/masks/t0.png").unlink()),
    refused="no mask",
)
add(
    "a mask of another size",
    "masks",
    _masks(_mask(0, 1), also=lambda f: Image.new("L", (9, 9)).save(f / "train/masks/t0.png")),
    refused="sizes",
)
add(
    "an empty folder of masks",
    "masks",
    _masks(_mask(0, 1), also=lambda f: (f / "train/masks/t0.png").unlink()),
    refused="empty",
)
add(
    "text for a mask",
    "masks",
    _masks(_mask(0, 1), also=lambda f: write(f / "train/masks/t0.png", "no")),
    refused="mask",
)
for encoding, name in (("utf-8-sig", "cell"), ("utf-16", "cell"), ("latin-1", "Größe"), ("gb2312", "细胞")):
    add(
        f"classes.txt in {encoding}",
        "masks",
        _masks(_mask(0, 1), names=f"ground\r\n{name}  \r\n".encode(encoding)),
        opens={"classes": ("ground", name), "labels": {0, 1}},
    )
add(
    "hidden copies of masks",
    "masks",
    _masks(_mask(0, 1), also=lambda f: shutil.copytree(f / "train/masks", f / "train/masks/.ipynb_checkpoints")),
    opens=TWO,
    settings=GIVEN,
)


def _voc_masks(*, names: str = "a b\nscene\n", also: Callable[[Path], object] | None = None) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name in ("a b", "scene", "scene.night", "v"):
            save(folder / f"JPEGImages/{name}.jpg")
            (folder / "SegmentationClass").mkdir(exist_ok=True)
            Image.fromarray(_mask(0, 2 if name == "scene.night" else 1)).save(folder / f"SegmentationClass/{name}.png")
        write(folder / "ImageSets/Segmentation/train.txt", names)
        write(folder / "ImageSets/Segmentation/val.txt", "v\n")
        if also is not None:
            also(folder)

    return make


add("scene.png beside scene.night.png", "masks", _voc_masks(), opens={"classes": ("0", "1"), "images": 3})
add("a name twice in a list", "masks", _voc_masks(names="scene\nscene\n"), opens={"images": 2})
add("a list with carriage returns", "masks", _voc_masks(names="a b\r\nscene \r\n"), opens={"images": 3})
add(
    "a listed image without a mask",
    "masks",
    _voc_masks(also=lambda f: (f / "SegmentationClass/scene.png").unlink()),
    refused="mask",
)
