"""Metrics as a table."""

from collections.abc import Mapping

from rich.table import Table

_MOST_OF_CLASSES = 200


def metrics_table(splits: Mapping[str, Mapping[str, float]], title: str) -> Table:
    """A row a metric, a column a split; a dash where a split has nothing to find."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for split, metrics in splits.items():
        table.add_column(f"{split} ({int(metrics['images'])})", justify="right")
    names = list(dict.fromkeys(name for metrics in splits.values() for name in metrics if name != "images"))
    of_classes = [name for name in names if "/" in name]
    if len(of_classes) > _MOST_OF_CLASSES:
        names = [name for name in names if "/" not in name]
        table.caption = f"and {len(of_classes)} figures of single classes"
    for name in names:
        values = (metrics.get(name, -1.0) for metrics in splits.values())
        table.add_row(name, *("-" if value < 0 else f"{value:.3f}" for value in values))
    return table
