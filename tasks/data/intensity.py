"""How the grey levels of deep images, of more than 8 bits, become 0 to 255."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.data.dataset.splits import Indexed

AUTO, FULL, PERCENTILE = "auto", "full", "percentile"
_DEEP_MODES = ("I", "F")  # and I;16 in its variants
_OUTER = (0.5, 99.5)  # percentiles of an image, between which its levels are spread
_HEADERS, _LOOKED_AT = 512, 64  # of images that are opened, and of deep ones that are decoded, to find their range
_HOT = (0.01, 99.99)  # percentiles beyond which single pixels are broken
# What Pillow raises where a file is no image, a broken one, or absurdly large.
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_LEAST_BITS, _WORD = 8, 65535


@dataclass(frozen=True)
class Intensity:
    """A policy.

    Attributes:
        low, high: these levels become 0 and 255, what lies between in proportion, what lies beyond is cut off. None:
            those of the file's type, 0 to 65535 for whole numbers and 0 to 1 for others.
        each: whether they are the outer percentiles of each image.
    """

    low: float | None = None
    high: float | None = None
    each: bool = False

    @classmethod
    def of(cls, setting: str) -> "Intensity":
        """From `data.intensity`; what "auto" has not found is the type's range."""
        if "," in setting:
            low, high = map(float, setting.split(","))
            return cls(low, high)
        return cls(each=setting == PERCENTILE)

    def levels(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """uint8 of the same shape; NaN becomes 0."""
        numbers = values.astype(np.float64)
        if self.each:
            low, high = np.nanpercentile(numbers, _OUTER).tolist()
        elif self.low is not None and self.high is not None:
            low, high = self.low, self.high
        else:
            low, high = 0.0, 1.0 if np.issubdtype(values.dtype, np.floating) else float(_WORD)
        shares = (numbers - low) / (high - low) if high > low else np.zeros_like(numbers)
        return np.rint(np.clip(np.nan_to_num(shares), 0, 1) * 255).astype(np.uint8)


BY_TYPE = Intensity()


def is_deep(image: Image.Image) -> bool:
    """Whether an image has more than 8 bits a channel, by its header."""
    return image.mode.startswith(_DEEP_MODES)


def found_range(samples: Indexed[Any]) -> str | None:
    """The setting for samples: whole numbers from 0 to what so many bits hold, others from 0 to 1, or between the least
    and the largest. The headers of some, evenly spread, say which are deep, and some of these are looked at; single hot
    pixels count for nothing. None where none is deep, or readable."""
    spread = range(0, len(samples), max(1, len(samples) // _HEADERS))
    files = (samples[position].file for position in spread)
    deep = [file for file in files if file is not None and _is_deep_file(file)]
    least, most, whole = np.inf, -np.inf, True
    for file in deep[:: max(1, len(deep) // _LOOKED_AT)]:
        try:
            with Image.open(file) as image:
                values = np.asarray(image)
        except UNREADABLE:
            continue  # which is said when it is read to train on
        finite = values[np.isfinite(values)]
        if len(finite):
            low, high = np.percentile(finite, _HOT, method="nearest")
            least, most = min(least, float(low)), max(most, float(high))
            whole = whole and not np.issubdtype(values.dtype, np.floating)
    if least > most or (least == most and not whole):
        return None
    if whole and least >= 0:
        return f"0,{2 ** max(_LEAST_BITS, math.ceil(most).bit_length()) - 1}"
    if least >= 0 and most <= 1:
        return "0,1"
    low_text, high_text = f"{least:.9g}", f"{most:.9g}"
    return f"{low_text},{high_text}" if float(low_text) < float(high_text) else None


def _is_deep_file(file: Path) -> bool:
    try:
        with Image.open(file) as image:
            return is_deep(image)
    except UNREADABLE:
        return False
