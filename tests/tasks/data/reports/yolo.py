"""YOLO."""

from collections.abc import Callable
from pathlib import Path

from tests.tasks.data.reports.base import CELL, HEIGHT, OTHER, TEN, WIDTH, Box, add, save, write


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
                save(folder / images.format(split=split, name=name))
                if labels:
                    write(folder / labels.format(split=split, name=name), lines)
        write(folder / "data.yaml", yaml)
        if also is not None:
            also(folder)

    return make


for suffix in (".jpg", ".jfif", ".gif", ".webp", ".bmp", ".tiff", ".JPG", ".pgm"):
    add(f"YOLO with {suffix}", "boxes", _yolo(images="images/{split}/{name}" + suffix), opens=TEN)
add("YOLO, labels beside the images", "boxes", _yolo(labels="images/{split}/{name}.txt"), opens=TEN)
add(
    "YOLO, labels beside some images",
    "boxes",
    _yolo(also=lambda f: (f / "labels/train/t0.txt").rename(f / "images/train/t0.txt")),
    opens=TEN,
)
add("YOLO without labels", "boxes", _yolo(labels=""), refused="no object")
add("YOLO, labels that are all empty", "boxes", _yolo(lines=""), refused="no object")
add("YOLO, data below a folder called images", "boxes", lambda f: _yolo()(f / "images"), opens=TEN)
add(
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
add(
    "YOLO, classes yes and no",
    "boxes",
    _yolo("names: [yes, no]\ntrain: images/train\nval: images/val\n"),
    opens={**TEN, "classes": ("yes", "no")},
)
add(
    "YOLO, classes 010 and 1e3",
    "boxes",
    _yolo("names: [010, 1e3]\ntrain: images/train\nval: images/val\n"),
    opens={**TEN, "classes": ("010", "1e3")},
)
add(
    "YOLO, a mapping with text",
    "boxes",
    _yolo("names: {'0': cell, '1': other}\ntrain: images/train\nval: images/val\n"),
    opens=TEN,
)
add(
    "YOLO, a mapping from 1",
    "boxes",
    _yolo("names: {1: cell, 2: other}\ntrain: images/train\nval: images/val\n"),
    refused="numbers",
)
add(
    "YOLO, val and valid",
    "boxes",
    _yolo("names: [cell, other]\ntrain: images/train\nval: images/val\nvalid: images/val\n"),
    refused="val and valid",
)
add(
    "YOLO, a test that is empty",
    "boxes",
    _yolo(
        "names: [cell, other]\ntrain: images/train\nval: images/val\ntest: images/test\n",
        also=lambda f: (f / "images/test").mkdir(),
    ),
    said="split-missing",
)
add(
    "YOLO, a test of null",
    "boxes",
    _yolo("names: [cell, other]\ntrain: images/train\nval: images/val\ntest: ~\n"),
    opens=TEN,
)
add(
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
add(
    "YOLO, key points of two numbers",
    "boxes",
    _yolo(lines="".join(_line(0, CELL, 0.3, 0.4, 0.35, 0.5, 0.2, 0.3) for _ in range(3))),
    refused="key points",
)
add("YOLO, track ids", "boxes", _yolo(lines="".join(_line(0, CELL, 7) for _ in range(2))), refused="track")
add(
    "YOLO, four corners",
    "boxes",
    _yolo(lines="0 0.1 0.2 0.5 0.2 0.5 0.7 0.1 0.7\n1 0.1 0.2 0.5 0.2 0.5 0.7 0.1 0.7\n"),
    opens={"boxes": [[4, 6, 20, 21]] * 2},
)
add("YOLO, classes from 1", "boxes", _yolo(lines=_line(1, CELL) + _line(2, OTHER)), refused="count from 1")
add("YOLO in pixels", "boxes", _yolo(lines="0 12 14 16 16\n"), refused="no shares")
add("YOLO, words", "boxes", _yolo(lines="cell 0.5 0.5 0.1 0.1\n"), refused="not made of numbers")
add(
    "YOLO, carriage returns and a mark",
    "boxes",
    _yolo(lines=b"\xef\xbb\xbf" + LINES.replace("\n", "  \r\n").encode()),
    opens=TEN,
)
add("YOLO, boxes for mask_rcnn", "polygons", _yolo(), refused="polygon")
add(
    "YOLO, a path of another machine",
    "boxes",
    _yolo("path: /home/me/cells\nnames: [cell, other]\ntrain: images/train\nval: images/val\n"),
    opens=TEN,
)
add(
    "YOLO, two classes of a name",
    "boxes",
    _yolo("names: [cell, cell]\ntrain: images/train\nval: images/val\n"),
    refused="share a name",
)
add(
    "YOLO without a YAML",
    "boxes",
    lambda f: [(save(f / f"{k}.jpg"), write(f / f"{k}.txt", LINES)) for k in range(3)],
    refused="classes.txt",
)
