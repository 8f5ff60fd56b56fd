"""Pascal VOC."""

import struct
from collections.abc import Callable
from pathlib import Path

from tests.tasks.data.reports.base import CELL, HEIGHT, OTHER, TEN, WIDTH, Box, add, save, write


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
            save(folder / images.format(name=name))
            own = _xml(("cell", CELL), ("other", OTHER))
            write(folder / xmls.format(name=name), xml if xml and number == 0 else own)
        for name, text in (lists or {}).items():
            write(folder / f"ImageSets/Main/{name}.txt", text)
        if also is not None:
            also(folder)

    return make


for suffix in (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".webp", ".gif", ".Jpg", ".pgm"):
    add(f"VOC with {suffix}", "boxes", _voc(images="images/{name}" + suffix, xmls="xml/{name}.xml"), opens=TEN)
add("VOC, an empty width", "boxes", _voc(_xml(("cell", CELL), ("other", OTHER), size="<width/><height/>")), opens=TEN)
add(
    "VOC, a width of -1",
    "boxes",
    _voc(_xml(("cell", CELL), ("other", OTHER), size="<width>-1</width><height>-1</height>")),
    opens=TEN,
)
add(
    "VOC, a width of 0",
    "boxes",
    _voc(_xml(("cell", CELL), ("other", OTHER), size="<width>0</width><height>0</height>")),
    opens=TEN,
)
add(
    "VOC, another size", "boxes", _voc(_xml(("cell", CELL), size="<width>99</width><height>9</height>")), refused="99x9"
)
add("VOC, swapped corners", "boxes", _voc(_xml(("cell", (20, 22, 4, 6)), ("other", OTHER))), said="box-no-area")
add("VOC, no numbers", "boxes", _voc(_xml(("cell", CELL)).replace("<xmin>4", "<xmin>four")), refused="xmin is 'four'")
add(
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
    add(f"VOC in {encoding}", "boxes", _voc(text.encode(encoding)), opens={"objects": 20, "has": name})
add(
    "VOC in Latin-1 that says nothing",
    "boxes",
    _voc(_xml(("Größe", CELL), ("other", OTHER)).encode("latin-1")),
    opens={"has": "Größe"},
)
add("VOC with a mark", "boxes", _voc(_xml(("cell", CELL), ("other", OTHER)).encode("utf-8-sig")), opens=TEN)
add(
    "VOC, a list with suffixes",
    "boxes",
    _voc(lists={"train": "t0.jpg\nt1.jpg\n", "val": "t2.jpg\n"}),
    opens={"images": 3},
)
add("VOC, a list with flags", "boxes", _voc(lists={"train": "t0  1\nt1 -1\n", "val": "t2  1\n"}), opens={"images": 3})
add(
    "VOC, an empty list of val",
    "boxes",
    _voc(lists={"train": "".join(f"t{k}\n" for k in range(10)), "val": "\n"}),
    said="split-missing",
)
add("VOC, an empty list of train", "boxes", _voc(lists={"train": "\n", "val": "t1\n"}), refused="names no image")
add("VOC, a listed image that is missing", "boxes", _voc(lists={"train": "t0\nnone\n", "val": "t1\n"}), refused="none")
add("VOC, a.jpg beside a.png", "boxes", _voc(also=lambda f: save(f / "JPEGImages/t3.png")), refused="t3.jpg")
add(
    "VOC, no objects anywhere",
    "boxes",
    lambda f: [(save(f / f"{k}.jpg"), write(f / f"{k}.xml", _xml())) for k in range(5)],
    refused="no object",
)
add(
    "VOC, train2017 and val2017",
    "boxes",
    lambda f: [
        (save(f / f"{s}2017/{k}.jpg"), write(f / f"{s}2017/{k}.xml", _xml(("cell", CELL))))
        for k in range(4)
        for s in ("train", "val")
    ],
    opens={"splits": {"train": 4, "val": 4}},
)
add("VOC, an EXIF value of 65537", "boxes", _voc(also=lambda f: _turned(f / "JPEGImages/t0.jpg", 65537)), opens=TEN)
add("VOC, an EXIF value of 0", "boxes", _voc(also=lambda f: _turned(f / "JPEGImages/t0.jpg", 0)), opens=TEN)
add("VOC, an image on its side", "boxes", _voc(also=lambda f: _turned(f / "JPEGImages/t0.jpg", 6)), refused="EXIF")


def _turned(path: Path, value: int) -> None:
    """With an EXIF orientation of four bytes."""
    tag = struct.pack("<HHHII", 1, 0x0112, 4, 1, value)
    save(path, exif=b"Exif\0\0II*\0\x08\0\0\0" + tag + b"\0\0\0\0")
