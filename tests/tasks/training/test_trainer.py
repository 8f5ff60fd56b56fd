"""Which checkpoint is the best."""

import json
from pathlib import Path

import pytest

from tasks.commands.train import main
from tasks.detection import CocoMetric

FLAGS = "--data.count 4 --data.workers 0 --epochs 4 --head.channels 16 --head.representation 16"


@pytest.mark.parametrize(
    ("figures", "best"),
    [
        ([0.1, 0.3, 0.2, 0.3], 2),
        pytest.param([-1, -1, -1, -1], 4, marks=pytest.mark.slow),  # nothing to find: the last one
        pytest.param([float("nan"), float("nan"), float("nan"), float("nan")], 4, marks=pytest.mark.slow),
        pytest.param([-1, 0.0, -1, -1], 2, marks=pytest.mark.slow),  # any figure is better than none
        pytest.param([0.2, float("nan"), 0.1, -1], 1, marks=pytest.mark.slow),
    ],
)
def test_the_best_checkpoint(
    figures: list[float], best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = iter(figures)
    monkeypatch.setattr(CocoMetric, "compute", lambda self: {"AP": float(next(left)), "images": len(self.samples)})
    assert main([*FLAGS.split(), "--output", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run/run.json").read_text())["best"]["epoch"] == best
    warned = capsys.readouterr().out.count("warning: val gives no AP")
    assert warned == sum(not figure >= 0 for figure in figures)
