"""Metrics as a table, whatever a split has of them."""

import io

from rich.console import Console

from tasks.runs import metrics_table


def test_a_class_that_one_split_lacks_is_a_dash_there() -> None:
    """Detections of a class in val and none in test: it has a threshold in one alone."""
    splits = {
        "val": {"AP": 0.5, "score_threshold/cell": 0.25, "images": 4},
        "test": {"AP": -1.0, "score_threshold/dust": 0.75, "images": 2},
    }
    text = io.StringIO()
    Console(file=text, width=80).print(metrics_table(splits, "best"))
    rows = [line.replace("│", " ").split() for line in text.getvalue().splitlines() if "│" in line]
    assert rows == [
        ["AP", "0.500", "-"],
        ["score_threshold/cell", "0.250", "-"],
        ["score_threshold/dust", "-", "0.750"],
    ]
