"""Files that a command writes at its end, which must be possible before it does its work. Imports no torch."""

import json
from pathlib import Path
from typing import Any


def check_writable(file: Path) -> None:
    """Make the folder of a file that is written later; what is there already stays as it is.

    Raises:
        InputError: it cannot be made, or the file not be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        there = file.exists()
        with file.open("a", encoding="utf-8"):
            pass
        if not there:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise _refusal(file, error) from None


def write_json(file: Path, content: Any) -> None:
    """Write a file as JSON.

    Raises:
        InputError: it cannot be written.
    """
    try:
        file.write_text(json.dumps(content), encoding="utf-8")
    except OSError as error:
        raise _refusal(file, error) from None


def _refusal(file: Path, error: OSError) -> Exception:
    from backbones import InputError

    return InputError(f"{file}: cannot be written: {error.strerror}")
