"""Label Studio's run lengths of brush strokes: thi.ng's rle-pack, a stream of bits."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.data.masks.regions import RegionError

_CHANNELS = 4  # red, green, blue and opacity of each pixel, row by row
_OPACITY = 3


def brush_pixels(packed: Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (height, width) that a brush has touched.

    Args:
        packed: bytes. First come the number of values (32 bits), the bits of a value less one (5), and four lengths
            in bits, each less one (4 bits each). Then, until all values are there: one bit, 1 for a run and 0 for
            values in full; two bits, which of the four lengths holds their number less one; that number; the value of
            the run, or the values.
        size: (width, height) of the image.

    Raises:
        RegionError: it is cut short, or of another size.
    """
    try:
        bits = np.unpackbits(np.asarray(packed, np.uint8))
        values = _unpack(bits, size[0] * size[1] * _CHANNELS)
    except (IndexError, OverflowError, TypeError, ValueError) as error:
        raise RegionError(f"a brush that is no run lengths ({error})") from None
    return values.reshape(size[1], size[0], _CHANNELS)[:, :, _OPACITY] > 0


def _unpack(bits: NDArray[np.uint8], wanted: int) -> NDArray[np.uint8]:
    at = 0

    def take(count: int) -> int:
        nonlocal at
        if at + count > len(bits):
            raise ValueError("cut short")
        value = 0
        for bit in bits[at : at + count].tolist():
            value = value << 1 | bit
        at += count
        return value

    total = take(32)
    if total != wanted:
        raise ValueError(f"{total} values where the image has {wanted}")
    width = take(5) + 1
    lengths = [take(4) + 1 for _ in range(4)]
    values = np.zeros(total, np.uint8)
    filled = 0
    while filled < total:
        is_run = take(1)
        count = take(lengths[take(2)]) + 1
        if is_run:
            values[filled : filled + count] = min(take(width), 1)
        else:
            for position in range(filled, min(filled + count, total)):
                values[position] = min(take(width), 1)
        filled += count
    return values
