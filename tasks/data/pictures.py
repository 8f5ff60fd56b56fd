"""Picture files in, uint8 RGB out, by one policy.

EXIF orientation is applied. Grey becomes three equal channels, palettes are looked up, an alpha channel
is dropped, 16-bit grey keeps its upper eight bits.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from backbones.errors import InputError

# What a whole file of the kind ends with; cameras and web servers may append a little behind it.
_ENDINGS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND"}
_TAIL_BYTES = 64 * 1024
# EXIF: orientations 5 to 8 lie on their side.
_ORIENTATION, _FIRST_TURNED = 0x0112, 5


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture as uint8 RGB (H, W, 3).

    Raises:
        InputError: the file is missing, cut short, or no picture.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):
                grey = np.asarray(image)
                if grey.dtype != np.uint8:
                    grey = (np.clip(grey, 0, 65535).astype(np.uint16) >> 8).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path}: the picture is missing") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable picture ({error}); replace the file or remove its annotation"
        ) from error


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels as `read_picture` gives them, without decoding the picture.

    Raises:
        InputError: the file is missing or no picture.
    """
    try:
        with Image.open(path) as file:
            turned = file.getexif().get(_ORIENTATION, 1) >= _FIRST_TURNED
            return (file.height, file.width) if turned else (file.width, file.height)
    except FileNotFoundError:
        raise InputError(f"{path}: the picture is missing") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: not a readable picture ({error})") from error


def check_file(path: Path) -> None:
    """Find, without decoding it, that a picture is missing or its file was cut short.

    Raises:
        InputError: it is.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
            ending = next((end for kind, end in _ENDINGS.items() if start.startswith(kind)), None)
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            whole = size > 0 if ending is None else ending in file.read()
    except FileNotFoundError:
        raise InputError(f"{path}: the picture is missing; restore it or remove its annotation") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if not whole:
        raise InputError(f"{path}: the file is cut short; replace it or remove its annotation")
