"""Many images on one sheet."""

from collections.abc import Sequence

from PIL import Image

_GAP = 4
_PAPER = (255, 255, 255)


def contact_sheet(rows: Sequence[Sequence[Image.Image]], side: int = 256) -> Image.Image:
    """A row of images below the other, each within `side` x `side` pixels."""
    columns = max(len(row) for row in rows)
    step = side + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, len(rows) * step + _GAP), _PAPER)
    for top, row in enumerate(rows):
        for left, image in enumerate(row):
            sheet.paste(thumbnail(image, side), (_GAP + left * step, _GAP + top * step))
    return sheet


def thumbnail(image: Image.Image, side: int) -> Image.Image:
    """A copy in RGB within `side` x `side` pixels."""
    copy = image.convert("RGB")
    copy.thumbnail((side, side))
    return copy
