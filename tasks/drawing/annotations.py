"""Boxes, masks and legends over images."""

import colorsys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

_GOLDEN_RATIO = 0.618034
_DARK = 128
_TINT = 0.45  # of the classes' colours over the image


def class_colour(label: int) -> Colour:
    """A colour that neighbours in the class map do not share."""
    red, green, blue = colorsys.hsv_to_rgb(label * _GOLDEN_RATIO % 1.0, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_objects(
    image: NDArray[np.uint8],
    boxes: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    scores: NDArray[np.floating[Any]],
    classes: Sequence[str],
    masks: Iterable[NDArray[np.bool_]] | None = None,
) -> Image.Image:
    """The image with a box, a name, a score and, where there is one, the mask of every object.

    Args:
        image: uint8 RGB (H, W, 3).
        boxes: (n, 4), x_min y_min x_max y_max in pixels, the best object first.
        labels: (n,), positions in `classes`.
        scores: (n,).
        masks: n of (H, W), taken one by one.
    """
    blended = image.astype(np.float32)
    for mask, label in zip(() if masks is None else masks, labels.tolist(), strict=False):
        blended[mask] = (1 - _TINT) * blended[mask] + _TINT * np.array(class_colour(label))
    rows = zip(boxes.tolist(), labels.tolist(), scores.tolist(), strict=True)
    named = [(box, f"{classes[label]} {score:.2f}", class_colour(label)) for box, label, score in rows]
    return draw_boxes(Image.fromarray(blended.round().astype(np.uint8)), named[::-1])  # the best on top


def draw_boxes(image: Image.Image, rows: Iterable[tuple[Sequence[float], str, Colour]]) -> Image.Image:
    """A copy of the image with boxes, each with a text, perhaps empty, and a colour."""
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    text_size = _text_size(copy)
    font = ImageFont.load_default(text_size)
    line = max(2, min(copy.size) // 240)
    for (x_min, y_min, x_max, y_max), text, colour in rows:
        box = (min(x_min, x_max), min(y_min, y_max), max(x_min, x_max), max(y_min, y_max))
        draw.rectangle(box, outline=colour, width=line)
        if not text:
            continue
        left = max(0.0, min(box[0], copy.width - draw.textlength(text, font=font)))
        corner = (left, max(0.0, box[1] - text_size - line))
        draw.rectangle(draw.textbbox(corner, text, font=font), fill=colour)
        draw.text(corner, text, fill=_text_colour(colour), font=font)
    return copy


def draw_labels(image: NDArray[np.uint8], labels: NDArray[np.integer[Any]], classes: Sequence[str]) -> Image.Image:
    """The image under its classes' colours, with a legend of those that are there.

    Args:
        image: uint8 RGB (H, W, 3).
        labels: (H, W), positions in `classes`; others are white.
    """
    colours = np.full((max(len(classes), int(labels.max()) + 1), 3), 255, np.float32)
    colours[: len(classes)] = [class_colour(label) for label in range(len(classes))]
    blended = (1 - _TINT) * image + _TINT * colours[labels]
    result = Image.fromarray(blended.round().astype(np.uint8))
    there = np.unique(labels[labels < len(classes)]).tolist()
    _legend(result, [(classes[label], class_colour(label)) for label in there])
    return result


def draw_scores(image: NDArray[np.uint8], found: Sequence[tuple[str, int, float]]) -> Image.Image:
    """The image with a legend of classes and their scores.

    Args:
        image: uint8 RGB (H, W, 3).
        found: (class, its label, score), the best first.
    """
    result = Image.fromarray(image)
    _legend(result, [(f"{name} {score:.2f}", class_colour(label)) for name, label, score in found])
    return result


def _legend(image: Image.Image, entries: Iterable[tuple[str, Colour]]) -> None:
    """In the upper left corner of an image."""
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_text_size(image))
    top = 0.0
    for text, colour in entries:
        box = draw.textbbox((2, top), text, font=font)
        draw.rectangle((0, top, box[2] + 2, box[3] + 2), fill=colour)
        draw.text((2, top), text, fill=_text_colour(colour), font=font)
        top = box[3] + 2


def _text_size(image: Image.Image) -> int:
    return max(11, min(image.size) // 40)


def _text_colour(ground: Colour) -> str:
    # ITU-R BT.601
    luminance = 0.299 * ground[0] + 0.587 * ground[1] + 0.114 * ground[2]
    return "black" if luminance > _DARK else "white"
