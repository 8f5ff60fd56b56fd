"""Where a step's time goes: `--profile`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile, schedule

from tasks.training.run import Run

__all__ = ["PARTS", "profiled"]

PARTS = ("to the device", "forward", "backward", "optimizer")  # as the steps mark them
_PASSED_OVER, _WARM_UP, _STEPS = 3, 1, 5  # the first steps make what later ones keep
_LOADING = "enumerate(DataLoader)"
_OPERATORS = 20


@contextmanager
def profiled(run: Run, console: Console) -> Iterator[Callable[[], None]]:
    """Record some steps of what is done within, and write profile.txt and trace.json (for chrome://tracing or Perfetto)
    into the run's folder. Gives what is to be called after every step."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    plan = schedule(wait=_PASSED_OVER, warmup=_WARM_UP, active=_STEPS, repeat=1)
    written: list[bool] = []

    def write(recorded: Any) -> None:
        written.append(True)
        if run.writes:
            _write(recorded, run, console)

    with profile(activities=activities, schedule=plan, on_trace_ready=write) as recorder:
        yield recorder.step
    if not written:
        console.print(f"warning: too few steps for a profile: it passes over the first {_PASSED_OVER + _WARM_UP}")


def _write(recorded: Any, run: Run, console: Console) -> None:
    averages = recorded.key_averages()
    on_device = any(one.self_device_time_total for one in averages)
    by_parts, by_operators = _parts(averages), _operators(averages, on_device)
    recorded.export_chrome_trace(str(run.folder / "trace.json"))
    with (run.folder / "profile.txt").open("w", encoding="utf-8") as file:
        for table in (by_parts, by_operators):
            Console(file=file, width=120).print(table)
    console.print(by_parts)
    console.print(f"{run.folder / 'profile.txt'} has the operators too; {run.folder / 'trace.json'} is for a browser")


def _parts(averages: Any) -> Table:
    """What the host spends its time on. It does not wait for a device within a part, but in the one that asks."""
    milliseconds = dict.fromkeys(("waiting for images", *PARTS), 0.0)
    steps, whole = 0, 0.0
    for one in averages:
        if one.key.startswith("ProfilerStep"):
            steps, whole = steps + one.count, whole + one.cpu_time_total
        elif one.key in PARTS or one.key.startswith(_LOADING):
            milliseconds[one.key if one.key in PARTS else "waiting for images"] += one.cpu_time_total
    milliseconds["the rest"] = whole - sum(milliseconds.values())
    table = Table("", title=f"a step, the mean of {steps}", title_justify="left")
    for column in ("ms", "share"):
        table.add_column(column, justify="right")
    for name, total in (*milliseconds.items(), ("together", whole)):
        table.add_row(name, f"{total / 1000 / max(steps, 1):.1f}", f"{total / max(whole, 1e-9):.0%}")
    return table


def _operators(averages: Any, on_device: bool) -> Table:
    """Those that take longest by themselves, on the device where there is one."""
    steps = sum(one.count for one in averages if one.key.startswith("ProfilerStep"))
    where = "self_device_time_total" if on_device else "self_cpu_time_total"
    marks = {*PARTS} | {one.key for one in averages if one.key.startswith(("ProfilerStep", _LOADING))}
    rows = sorted((one for one in averages if one.key not in marks), key=lambda one: -getattr(one, where))
    title = f"operators, {'on the device' if on_device else 'on the CPU'}, a step"
    table = Table("", title=title, title_justify="left")
    for column in ("ms", "calls"):
        table.add_column(column, justify="right")
    for one in rows[:_OPERATORS]:
        table.add_row(one.key, f"{getattr(one, where) / 1000 / steps:.2f}", f"{one.count / steps:.0f}")
    return table
