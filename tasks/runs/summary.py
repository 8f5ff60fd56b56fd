"""Metrics as a table."""

from collections.abc import Mapping

from rich.table import Table


def metrics_table(splits: Mapping[str, Mapping[str, float]], title: str) -> Table:
    """A row a metric, a column a split; a dash where a split has nothing to find."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for split, metrics in splits.items():
        table.add_column(f"{split} ({int(metrics['images'])})", justify="right")
    names = dict.fromkeys(name for metrics in splits.values() for name in metrics if name != "images")
    for name in names:
        values = (metrics.get(name, -1.0) for metrics in splits.values())
        table.add_row(name, *("-" if value < 0 else f"{value:.3f}" for value in values))
    return table
