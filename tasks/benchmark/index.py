"""A COCO-sized annotation file: seconds to the first batch, and the memory that workers add.

Each side runs in a process of its own, in turn; workers are forked, as torch does on Linux.
"""

import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tasks.benchmark.synthetic import write_coco_folder
from tasks.config import SettingsError

_IMAGES = 118_000
_BATCH = 64
_MEASURED_EVERY = 20  # batches
_COLUMNS = {
    "load": "s to load",
    "first_batch": "s to the first batch",
    "held": "MiB of the main process",
    "added": "MiB that the workers add",
}


def time_index(
    console: Console, *, images: int | None = None, workers: int = 4, rounds: int = 3, folder: Path | None = None
) -> int:
    """Against `pycocotools.COCO` with torchvision's `CocoDetection`.

    Args:
        images: how many; objects in proportion.
        workers: processes that read images.
        rounds: how often each is timed, in turn.
        folder: where the synthetic data goes; a temporary one where None.
    """
    if not Path("/proc/self/smaps_rollup").is_file():
        raise SettingsError("what: index reads the memory of processes from /proc, which only Linux has")
    images = images or _IMAGES
    with tempfile.TemporaryDirectory() as temporary:
        folder = (folder or Path(temporary) / "coco").resolve()
        write_coco_folder(folder, images)
        megabytes = (folder / "annotations/instances_train.json").stat().st_size / 1e6
        console.print(f"{images:,} images, {megabytes:.0f} MB of annotations, {workers} workers")
        figures: dict[str, list[dict[str, float]]] = {name: [] for name in _SIDES}
        for _ in range(rounds):
            for name in _SIDES:
                figures[name].append(_measured(name, folder, workers))
    table = Table("median of each", *_COLUMNS.values(), title_justify="left")
    for name, rows in figures.items():
        table.add_row(name, *(f"{statistics.median(row[key] for row in rows):,.1f}" for key in _COLUMNS))
    console.print(table)
    for key, text in (("first_batch", "takes {:.1f} times as long to the first batch"), ("added", "adds {:.1f} times")):
        ratios = [theirs[key] / ours[key] for ours, theirs in zip(*figures.values(), strict=True)]
        console.print(f"pycocotools with CocoDetection {text.format(statistics.median(ratios))}")
    return 0


def _measured(side: str, folder: Path, workers: int) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, side, str(folder), str(workers)]
    return dict(
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
    )


def _ours(folder: Path, workers: int) -> tuple[float, float, Callable[[], Iterable[Any]]]:
    from tasks.config import DetectionData
    from tasks.data import Loader, open_data
    from tasks.detection import DetectionTransform

    started = time.perf_counter()
    samples = open_data(DetectionData(path=str(folder))).splits["train"]
    loaded = time.perf_counter() - started
    loader = Loader(samples, DetectionTransform(48), batch_size=_BATCH, workers=workers, shuffle=True)
    return started, loaded, loader.batches


def _theirs(folder: Path, workers: int) -> tuple[float, float, Callable[[], Iterable[Any]]]:
    from torch.utils.data import DataLoader
    from torchvision.datasets import CocoDetection
    from torchvision.transforms.functional import pil_to_tensor

    started = time.perf_counter()
    data = CocoDetection(str(folder / "train"), str(folder / "annotations/instances_train.json"), pil_to_tensor)
    loaded = time.perf_counter() - started
    loader = DataLoader(data, batch_size=_BATCH, num_workers=workers, shuffle=True, collate_fn=list)
    return started, loaded, lambda: loader


_SIDES = {"vertebra": _ours, "pycocotools": _theirs}


def _proportional_set_size(pids: Iterable[int]) -> float:
    """MiB; memory shared by several processes counts in parts."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _report(side: str, folder: Path, workers: int) -> dict[str, float]:
    """Load, take the first batch, and go through an epoch; importing is not a part of the time."""
    own = multiprocessing.current_process().pid or 0
    started, loaded, batches = _SIDES[side](folder, workers)
    held = _proportional_set_size([own])
    first, added = 0.0, 0.0
    for number, _ in enumerate(batches()):
        first = first or time.perf_counter() - started
        if number % _MEASURED_EVERY == 0:
            everyone = [own, *(child.pid or 0 for child in multiprocessing.active_children())]
            added = max(added, _proportional_set_size(everyone) - held)
    return {"load": loaded, "first_batch": first, "held": held, "added": added}


if __name__ == "__main__":
    print(json.dumps(_report(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
