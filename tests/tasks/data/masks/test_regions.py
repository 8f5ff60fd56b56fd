"""The regions of objects, against areas worked out by hand and pycocotools' masks."""

import base64
import math
import zlib

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.data import object_mask
from tasks.data.masks.regions import (
    Region,
    RegionError,
    bitmap,
    box_around,
    corners,
    ellipse,
    polygons,
    turned,
    union,
    unpacked,
    with_holes,
)
from tests.tasks.data.formats.tool_layouts import png

SIZE = (40, 30)


def _pixels(region: Region) -> np.ndarray:  # type: ignore[type-arg]
    return object_mask(region.segmentation, SIZE, "it")


def test_a_polygon_has_its_extent_and_area() -> None:
    region = polygons([[(2, 3), (12, 3), (2, 9)]])
    assert region.box == (2, 3, 12, 9)
    assert region.area == 30
    assert msgspec.json.decode(region.segmentation) == [[2, 3, 12, 3, 2, 9]]


def test_several_polygons_are_one_object() -> None:
    region = polygons([corners((0, 0, 4, 4)), corners((10, 10, 12, 12))])
    assert (region.box, region.area) == ((0, 0, 12, 12), 20)
    assert _pixels(region).sum() == 20


@given(st.floats(-360, 360), st.floats(1, 10), st.floats(1, 10))
def test_turning_keeps_lengths_and_goes_clockwise(degrees: float, across: float, down: float) -> None:
    box = corners((0, 0, across, down))
    points = turned(box, degrees, (0, 0))
    assert math.dist(points[0], points[2]) == pytest.approx(math.hypot(across, down))
    assert turned(points, -degrees, (0, 0)) == [pytest.approx(corner, abs=1e-6) for corner in box]
    assert turned([(1, 0)], 90, (0, 0))[0] == pytest.approx([0, 1])  # y points down


def test_an_ellipse_is_as_large_as_one() -> None:
    region = polygons([ellipse((20, 15), (10, 5), 90)])
    assert region.box == pytest.approx((15, 5, 25, 25))
    assert region.area == pytest.approx(math.pi * 50, rel=2e-3)


def test_holes_are_cut_out() -> None:
    region = with_holes(corners((5, 5, 25, 25)), [corners((10, 10, 20, 20))], SIZE)
    assert (region.box, region.area) == ((5, 5, 25, 25), 300)
    pixels = _pixels(region)
    assert (pixels.sum(), pixels[15, 15], pixels[7, 7]) == (300, False, True)
    assert with_holes(corners((5, 5, 25, 25)), [], SIZE) == polygons([corners((5, 5, 25, 25))])


@given(st.integers(0, 30), st.integers(0, 20), st.data())
def test_a_mask_of_a_part_of_an_image(x: int, y: int, data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 30 - y)), data.draw(st.integers(1, 40 - x)))
    seed = data.draw(st.integers(0, 1000))
    pixels = np.random.default_rng(seed).random(shape) > 0.5
    pixels[0, 0] = True
    region = bitmap(pixels, (x, y), SIZE)
    whole = np.zeros((SIZE[1], SIZE[0]), np.bool_)
    whole[y : y + shape[0], x : x + shape[1]] = pixels
    assert (_pixels(region) == whole).all()
    rows, columns = np.nonzero(whole)
    assert region.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert region.area == whole.sum()
    assert (_pixels(union([region, polygons([corners((0, 0, 3, 3))])], SIZE))[:3, :3]).all()


def test_what_reaches_over_the_edge_is_left_out() -> None:
    assert bitmap(np.ones((5, 5), np.bool_), (38, -3), SIZE).box == (38, 0, 40, 2)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "compressed"])
def test_masks_in_base64(mode: str) -> None:
    wanted = np.array([[0, 1, 1], [1, 0, 0]], np.bool_)
    if mode == "RGBA":
        data = png(np.dstack([np.zeros((2, 3, 3), np.uint8), wanted.astype(np.uint8) * 200]))
    elif mode == "1":
        data = png(wanted)
    elif mode == "P":
        data = _palette_png(wanted)
    else:
        data = png(wanted.astype(np.uint8) * 255)
    packed = zlib.compress(data) if mode in ("compressed", "P") else data
    assert (unpacked(base64.b64encode(packed).decode()) == wanted).all()


def _palette_png(mask: np.ndarray) -> bytes:  # type: ignore[type-arg]
    """As Supervisely writes them: of two colours, the first transparent."""
    import io

    image = Image.fromarray(mask.astype(np.uint8) * 255).convert("P")
    image.putdata(mask.astype(np.uint8).reshape(-1).tolist())
    image.putpalette([0, 0, 0, 255, 255, 255])
    file = io.BytesIO()
    image.save(file, "PNG", transparency=0, optimize=0)
    return file.getvalue()


def test_what_cannot_be_taken_is_said() -> None:
    for wrong, message in (
        (lambda: polygons([[(0, 0), (1, 1)]]), "a polygon of 2 corners encloses nothing"),
        (lambda: polygons([[(0, 0), (1, math.nan), (2, 2)]]), "its corners are no numbers"),
        (lambda: polygons([[(0,), (1,), (2,)]]), "no pairs of numbers"),
        (lambda: box_around([]), "a shape without corners encloses nothing"),
        (lambda: bitmap(np.ones((5, 5), np.bool_), (40, 0), SIZE), "without a pixel in the image encloses nothing"),
        (lambda: bitmap(np.zeros((5, 5), np.bool_), (0, 0), SIZE), "without a pixel in the image encloses nothing"),
        (lambda: with_holes(corners((5, 5, 9, 9)), [corners((0, 0, 20, 20))], SIZE), "all hole"),
        (lambda: unpacked("%%%"), "no PNG in base64"),
        (lambda: unpacked(base64.b64encode(b"hello").decode()), "no PNG in base64"),
    ):
        with pytest.raises(RegionError, match=message):
            wrong()
