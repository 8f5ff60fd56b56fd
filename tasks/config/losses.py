"""Losses by name, and sums of them."""

import re

from backbones import nearest
from tasks.config.group import SettingsError

LOSSES = ("cross_entropy", "bce", "dice", "focal", "lovasz", "tversky")

_TERM = re.compile(r"\s*(?:(\d+\.?\d*|\.\d+)\s*\*\s*)?([a-z_]+)\s*")


def parse_loss(formula: str) -> dict[str, float]:
    """ "cross_entropy + 0.5 * dice" as names and weights; the weights of a name that comes twice are added.

    Raises:
        SettingsError: a term is not known, or weighs nothing.
    """
    terms: dict[str, float] = {}
    for term in formula.split("+"):
        match = _TERM.fullmatch(term)
        if match is None or match[2] not in LOSSES:
            name = match[2] if match else term.strip()
            raise SettingsError(f"head.loss: {name!r} is not known{nearest(name, LOSSES)} (known: {', '.join(LOSSES)})")
        weight = float(match[1] or 1.0)
        if not weight:
            raise SettingsError(f"head.loss: {term.strip()!r} weighs nothing; leave it out")
        terms[match[2]] = terms.get(match[2], 0.0) + weight
    return terms
