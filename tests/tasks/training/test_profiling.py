import json
from io import StringIO
from pathlib import Path

import torch
from rich.console import Console
from torch.profiler import record_function

from tasks.training import Run
from tasks.training.profiling import PARTS, profiled


def _profile(folder: Path, steps: int) -> str:
    text = StringIO()
    with profiled(Run(folder), Console(file=text, width=120)) as step_done:
        for _ in range(steps):
            for part in PARTS:
                with record_function(part):
                    torch.ones(8, 8) @ torch.ones(8, 8)
            step_done()
    return text.getvalue()


def test_a_table_and_a_trace(tmp_path: Path) -> None:
    printed = _profile(tmp_path, 12)
    assert "the mean of 5" in printed
    rows = [line.split("│") for line in printed.splitlines() if line.startswith("│")]
    milliseconds = {row[1].strip(): float(row[2]) for row in rows}
    assert list(milliseconds) == ["waiting for images", *PARTS, "the rest", "together"]
    assert abs(sum(milliseconds.values()) - 2 * milliseconds["together"]) < 1
    assert "aten::mm" in (tmp_path / "profile.txt").read_text()
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(event.get("name") == "forward" and event.get("cat") == "user_annotation" for event in events) == 5


def test_a_few_steps_are_too_few(tmp_path: Path) -> None:
    assert "warning: too few steps for a profile" in _profile(tmp_path, 3)
    assert not (tmp_path / "trace.json").exists()
