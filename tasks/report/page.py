"""Images and what is said of them on an HTML page."""

import base64
import html
import io
from collections.abc import Sequence

from PIL import Image

from tasks.drawing import thumbnail


def image_page(title: str, entries: Sequence[tuple[str, Sequence[str], Image.Image | None]], side: int = 480) -> str:
    """A self-contained HTML page.

    Args:
        entries: for each image its name, the lines about it, and the image, if it can be read.
    """
    figures = []
    for name, lines, image in entries:
        tag = f'<img alt="" src="data:image/jpeg;base64,{_encoded(thumbnail(image, side))}">' if image else ""
        items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        figures.append(f"<figure>{tag}<figcaption><b>{html.escape(name)}</b><ul>{items}</ul></figcaption></figure>")
    return _PAGE.replace("TITLE", html.escape(title)).replace("FIGURES", "\n".join(figures))


def _encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
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
