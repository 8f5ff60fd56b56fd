"""How many cases are wrong. Only `tasks.data.open_data` is asked, so that they can be tried on any version."""

import tempfile
from pathlib import Path

from tests.tasks.data.reports.base import wrong
from tests.tasks.data.reports.table import REPORTS


def main() -> None:
    results = {}
    for name, report in REPORTS.items():
        with tempfile.TemporaryDirectory() as folder:
            results[name] = wrong(report, Path(folder) / "data")
    bad = {name: text for name, text in results.items() if text is not None}
    for name, text in bad.items():
        print(f"{name}: {text[:200]}")
    print(f"{len(bad)} of {len(results)} are wrong")


if __name__ == "__main__":
    main()
