"""The table: every line that was asked for, measured, printed and written."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tasks.benchmark.comparisons.line import Conditions, Line, RealData, Sizes
from tasks.benchmark.comparisons.timing import Timed, time_line
from tasks.benchmark.comparisons.writing import as_json, write_json, write_plot
from tasks.benchmark.machine import describe_machine
from tasks.training import find_device

_STEPS_ON_GPU = 5
_LONG = 2e4  # ms: from here on in seconds
_MANY = 100.0  # ms: from here on whole ones
_VERDICT = {True: "met", False: "missed", None: "-"}


@dataclass(frozen=True)
class Asked:
    """What is measured, and with what.

    Attributes:
        rounds: pairs of times.
        steps: of each side that are timed together. None: 1, on a GPU 5, whose host runs ahead of it.
        device: by name.
        apart: each side in a process of its own, where a CPU computes; the lines are then those of the table.
        seed: of weights and images.
        backbone, image_size, batch_size: instead of the lines' own; the goals are for those, and are not shown then.
        data: for the lines that need it; without it they are left out.
        json, plot: files to write.
    """

    rounds: int = 5
    steps: int | None = None
    device: str = "auto"
    apart: bool = False
    seed: int = 0
    backbone: str | None = None
    image_size: int | None = None
    batch_size: int | None = None
    data: RealData | None = None
    json: Path | None = None
    plot: Path | None = None


def compare(console: Console, lines: Sequence[Line], asked: Asked) -> int:
    """Measure the lines, one after the other.

    Returns:
        0, or 1 where the two sides of one did not come to the same numbers: it was not timed.
    """
    device = str(find_device(asked.device))
    machine = describe_machine(device)
    console.print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads; device {machine['device']}; "
        + ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    )
    steps = asked.steps or (_STEPS_ON_GPU if device.startswith("cuda") else 1)
    done: list[Timed] = []
    for line in lines:
        if line.needs_data and asked.data is None:
            console.print(f"{line.name}: left out: it needs --data FOLDER")
            continue
        conditions = _conditions(line, asked, device)
        as_meant = (asked.backbone, asked.image_size, asked.batch_size) == (None, None, None)
        apart = asked.apart and device == "cpu" and not line.needs_data
        timed = time_line(line, conditions, rounds=asked.rounds, steps=steps, as_meant=as_meant, apart=apart)
        done.append(timed)
        console.print(_said(timed))
    console.print(_table(done, steps))
    if asked.json is not None:
        content = {
            "machine": machine,
            "seed": asked.seed,
            "rounds": asked.rounds,
            "steps": steps,
            "lines": [as_json(timed) for timed in done],
        }
        write_json(asked.json, content)
    if asked.plot is not None:
        write_plot(asked.plot, done, f"{machine['device'] if device != 'cpu' else machine['cpu']}")
    return 0 if all(timed.is_right for timed in done) else 1


def _conditions(line: Line, asked: Asked, device: str) -> Conditions:
    sizes = line.gpu if device.startswith("cuda") else line.cpu
    if asked.image_size is not None:
        sizes = Sizes(asked.image_size, asked.image_size, sizes.batch)
    sizes = replace(sizes, batch=asked.batch_size or sizes.batch)
    return Conditions(device, sizes, asked.backbone or "resnet50", asked.seed, data=asked.data)


def _said(timed: Timed) -> str:
    wrong = [str(one) for one in timed.agreements if not one.holds]
    if wrong:
        return f"{timed.line.name}: WRONG, not timed: {'; '.join(wrong)}"
    farthest = max(timed.agreements, key=lambda one: one.difference / one.tolerance)
    notes = "".join(f"; {name}: {_short(value)}" for name, value in timed.notes.items())
    return f"{timed.line.name}: {timed.ratio:.2f} of the time of {timed.baseline}; same numbers: {farthest}{notes}"


def _short(value: object) -> object:
    """Its numbers to three digits."""
    return json.loads(json.dumps(value), parse_float=lambda number: round(float(number), 3))


def _table(done: Sequence[Timed], steps: int) -> Table:
    title = (
        f"ms, where nothing else stands: median (least, most) of pairs in turn, {steps} step{'s' * (steps > 1)} each"
    )
    table = Table("line, against", title=title, title_justify="left", show_lines=True)
    for column in ("ours", "peer", "ratio", "goal", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for timed in done:
        ratio = "wrong" if timed.ratio is None else f"{timed.ratio:.2f}"
        goal = "-" if timed.goal is None else f"{timed.goal:.2f}"
        name = f"{timed.line.name}, {timed.conditions.backbone}, {timed.conditions.sizes}; against {timed.baseline}"
        table.add_row(name, _spread(timed.ours), _spread(timed.peer), ratio, goal, _VERDICT[timed.met])
    return table


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    median, least, most = (1e3 * one for one in (statistics.median(seconds), min(seconds), max(seconds)))
    if median >= _LONG:
        return f"{median / 1e3:.1f} s\n({least / 1e3:.1f}, {most / 1e3:.1f})"
    digits = 0 if median >= _MANY else 1
    return f"{median:.{digits}f}\n({least:.{digits}f}, {most:.{digits}f})"
