"""Many pictures on one page."""

import base64
import html
import io
from collections.abc import Sequence

from PIL import Image

_GAP = 4
_PAPER = (255, 255, 255)


def contact_sheet(rows: Sequence[Sequence[Image.Image]], side: int = 256) -> Image.Image:
    """A row of pictures below the other, each within `side` x `side` pixels."""
    columns = max(len(row) for row in rows)
    step = side + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, len(rows) * step + _GAP), _PAPER)
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            sheet.paste(_within(picture, side), (_GAP + left * step, _GAP + top * step))
    return sheet


def picture_page(title: str, entries: Sequence[tuple[str, Sequence[str], Image.Image | None]], side: int = 480) -> str:
    """A self-contained HTML page.

    Args:
        entries: for each picture its name, the lines about it, and the picture, if it can be shown.
    """
    figures = []
    for name, lines, picture in entries:
        image = f'<img alt="" src="data:image/jpeg;base64,{_encoded(_within(picture, side))}">' if picture else ""
        told = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        figures.append(f"<figure>{image}<figcaption><b>{html.escape(name)}</b><ul>{told}</ul></figcaption></figure>")
    return _PAGE.replace("TITLE", html.escape(title)).replace("FIGURES", "\n".join(figures))


def _within(picture: Image.Image, side: int) -> Image.Image:
    copy = picture.convert("RGB")
    copy.thumbnail((side, side))
    return copy


def _encoded(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>TITLE</title>
<style>
body { font: 14px/1.4 sans-serif; margin: 2em; }
figure { display: inline-block; vertical-align: top; width: 30em; margin: 0 1em 2em 0; }
figure img { max-width: 100%; }
figcaption { overflow-wrap: anywhere; }
ul { margin: 0.3em 0; padding-left: 1.2em; }
</style>
<h1>TITLE</h1>
FIGURES
</html>
"""
