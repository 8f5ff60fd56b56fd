"""Predictions drawn over pictures."""

import colorsys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tasks.detection.task import Detections

Colour = tuple[int, int, int]

_GOLDEN_RATIO = 0.618034
_DARK = 128
_TINT = 0.45  # of the classes' colours over the picture


def class_colour(label: int) -> Colour:
    """A colour that neighbours in the class map do not share."""
    red, green, blue = colorsys.hsv_to_rgb(label * _GOLDEN_RATIO % 1.0, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def _luminance(colour: Colour) -> float:
    # ITU-R BT.601
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def draw_detections(image: NDArray[np.uint8], detections: Detections, classes: tuple[str, ...]) -> Image.Image:
    """The picture with a box, a name, a score and, where there is one, the mask of every object.

    Args:
        image: uint8 RGB (H, W, 3).
    """
    painted = image.astype(np.float32)
    for mask, label in zip(() if detections.masks is None else detections.masks, detections.labels, strict=False):
        painted[mask.numpy()] = (1 - _TINT) * painted[mask.numpy()] + _TINT * np.array(class_colour(int(label)))
    rows = zip(detections.boxes.tolist(), detections.labels.tolist(), detections.scores.tolist(), strict=True)
    drawn = Image.fromarray(painted.round().astype(np.uint8))
    named = [(box, f"{classes[label]} {score:.2f}", class_colour(label)) for box, label, score in rows]
    return draw_boxes(drawn, named[::-1])  # the best on top


def draw_boxes(picture: Image.Image, rows: Iterable[tuple[Sequence[float], str, Colour]]) -> Image.Image:
    """The picture with boxes, each with a text, perhaps empty, and a colour."""
    drawn = picture.copy()
    draw = ImageDraw.Draw(drawn)
    short_side = min(drawn.size)
    text_size = max(11, short_side // 40)
    font = ImageFont.load_default(text_size)
    line = max(2, short_side // 240)
    for (x_min, y_min, x_max, y_max), text, colour in rows:
        box = (min(x_min, x_max), min(y_min, y_max), max(x_min, x_max), max(y_min, y_max))
        draw.rectangle(box, outline=colour, width=line)
        if not text:
            continue
        left = max(0.0, min(box[0], drawn.width - draw.textlength(text, font=font)))
        corner = (left, max(0.0, box[1] - text_size - line))
        draw.rectangle(draw.textbbox(corner, text, font=font), fill=colour)
        draw.text(corner, text, fill="black" if _luminance(colour) > _DARK else "white", font=font)
    return drawn


def draw_labels(image: NDArray[np.uint8], labels: NDArray[np.integer[Any]], classes: tuple[str, ...]) -> Image.Image:
    """The picture under its classes' colours, with a legend of those that are there.

    Args:
        image: uint8 RGB (H, W, 3).
        labels: (H, W), positions in `classes`; others are shown white.
    """
    colours = np.full((max(len(classes), int(labels.max()) + 1), 3), 255, np.float32)
    colours[: len(classes)] = [class_colour(label) for label in range(len(classes))]
    mixed = (1 - _TINT) * image + _TINT * colours[labels]
    drawn = Image.fromarray(mixed.round().astype(np.uint8))
    draw = ImageDraw.Draw(drawn)
    text_size = max(11, min(drawn.size) // 40)
    font = ImageFont.load_default(text_size)
    top = 0.0
    for label in np.unique(labels[labels < len(classes)]).tolist():
        colour = class_colour(label)
        text = classes[label]
        box = draw.textbbox((2, top), text, font=font)
        draw.rectangle((0, top, box[2] + 2, box[3] + 2), fill=colour)
        draw.text((2, top), text, fill="black" if _luminance(colour) > _DARK else "white", font=font)
        top = box[3] + 2
    return drawn
