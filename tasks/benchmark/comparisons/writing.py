"""A comparison as JSON and as an image."""

import json
from pathlib import Path
from typing import Any

from backbones import InputError
from tasks.benchmark.comparisons.timing import Timed

_INCHES, _DOTS = 9.0, 120  # across, and dots an inch
_INCHES_A_LINE = 0.42


def as_json(timed: Timed) -> dict[str, Any]:
    """Everything that was measured of a line."""
    sizes = timed.conditions.sizes
    return {
        "name": timed.line.name,
        "work": timed.line.work,
        "baseline": timed.baseline,
        "backbone": timed.conditions.backbone,
        "height": sizes.height,
        "width": sizes.width,
        "batch": sizes.batch,
        "checks": [
            # JSON has no NaN: null stands for it
            {
                "what": one.what,
                "difference": one.difference if one.difference == one.difference else None,
                "tolerance": one.tolerance,
                "holds": one.holds,
            }
            for one in timed.agreements
        ],
        "right": timed.is_right,
        "seconds": {"ours": timed.ours, "peer": timed.peer},
        "ratios": timed.ratios,
        "ratio": timed.ratio,
        "goal": timed.goal,
        "met": timed.met,
        "notes": timed.notes,
    }


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write the whole file.

    Raises:
        InputError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None


def write_plot(file: Path, lines: list[Timed], title: str) -> None:
    """Each line's ratio, its pairs as dots, its goal as a mark; 1 is the peer's time.

    Raises:
        InputError: it cannot be written.
    """
    from matplotlib.figure import Figure

    shown = [line for line in lines if line.ratio is not None][::-1]  # the first one above
    figure = Figure(figsize=(_INCHES, 1.2 + _INCHES_A_LINE * max(1, len(shown))), dpi=_DOTS, layout="constrained")
    axes = figure.subplots()
    for row, line in enumerate(shown):
        assert line.ratio is not None
        axes.barh(row, line.ratio, color="C2" if line.met else "C0" if line.met is None else "C1", alpha=0.7)
        axes.plot(line.ratios, [row] * len(line.ratios), "k.", markersize=4)
        if line.goal is not None:
            axes.plot([line.goal] * 2, [row - 0.4, row + 0.4], color="black", linewidth=2)
    axes.axvline(1.0, color="grey", linestyle="dashed")
    axes.set_yticks(range(len(shown)), [line.line.name for line in shown])
    axes.set(
        xlabel="our time / the peer's (bar: median of the pairs; black mark: the goal)", title=title, xlim=(0, None)
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="png")
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None
