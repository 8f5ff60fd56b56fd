"""The one exception that means "what you gave is wrong", as opposed to a bug of ours."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the caller gave cannot be used; the message is one line that names it and the cure."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'resnet50'?"` for a slip of the pen, an empty string where nothing is near."""
    matches = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
