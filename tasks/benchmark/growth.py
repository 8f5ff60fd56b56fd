"""How a detector's training step grows with the objects of an image and with the images of a step, and whether memory
stays level over many steps."""

import ctypes
import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from tasks.benchmark.comparisons.line import Conditions, Sizes
from tasks.benchmark.comparisons.ours import Ours, prepare
from tasks.config import HeadSettings, SettingsError
from tasks.data import Batch
from tasks.heads import find_head, head_named, list_heads
from tasks.training import autocast, find_device

_OBJECTS, _BATCHES = (1, 30, 300), (1, 8, 32)
_IMAGES = 2  # a step, where the objects grow
_FEW = 7  # objects an image, where the images grow: as COCO has
_SIDES = 8, 64  # pixels of an object
_READINGS = 10  # of the memory


@dataclass(frozen=True)
class Growth:
    """What grows, on what.

    Attributes:
        head: the only one; None: all detectors.
        backbone: of all.
        side: of the images in pixels.
        rounds: how often each is timed, in turn.
        device: by name.
    """

    head: str | None = None
    backbone: str = "resnet18"
    side: int = 320
    rounds: int = 3
    device: str = "auto"


def measure_growth(console: Console, growth: Growth) -> int:
    """Print the time and the memory that an image takes with 1, 30 and 300 objects, and in steps of 1, 8 and 32.

    Raises:
        SettingsError: there is no such detector.
    """
    for name in _heads(growth.head):
        ours, device = _prepared(name, growth)
        by_objects = {count: _batch(name, growth.side, count, _IMAGES) for count in _OBJECTS}
        by_images = {count: _batch(name, growth.side, _FEW, count) for count in _BATCHES}
        console.print(_grown(f"{name}: objects an image, {_IMAGES} images a step", ours, by_objects, growth, device))
        console.print(_grown(f"{name}: images a step, {_FEW} objects an image", ours, by_images, growth, device))
    return 0


def measure_level(console: Console, growth: Growth, *, steps: int = 1000) -> int:
    """Print the memory at ten places on the way through so many steps, of images with more and fewer objects: of the
    process, whose allocator gives back what was freed first, and of the tensors that Python knows of."""
    for name in _heads(growth.head):
        ours, device = _prepared(name, growth)
        step = ours.step_on(device)
        batches = [_batch(name, growth.side, count, _IMAGES, seed=count) for count in (1, 3, 7, 12, 30)]
        table = Table("step", "MiB in use", "MiB of tensors", title=name, title_justify="left")
        levels = []
        for number in range(1, steps + 1):
            step(batches[number % len(batches)])
            if number % max(1, steps // _READINGS) == 0:
                levels.append((_memory(device), _tensors()))
                table.add_row(f"{number:,}", *(f"{level:,.1f}" for level in levels[-1]))
        console.print(table)
        first, last = levels[len(levels) // 2], levels[-1]
        rises = [f"{after - before:+,.1f}" for before, after in zip(first, last, strict=True)]
        console.print(f"{name}: over the second half {rises[0]} MiB in use, {rises[1]} MiB of tensors")
    return 0


def _heads(name: str | None) -> list[str]:
    return list_heads("detection") if name is None else [find_head(name, "detection")().name]


def _prepared(head: str, growth: Growth) -> tuple[Ours, torch.device]:
    device = find_device(growth.device)
    conditions = Conditions(str(device), Sizes(growth.side, growth.side, _IMAGES), growth.backbone, batches=1)
    return prepare(head, conditions, freeze="1-3", optimizer="sgd"), device


def _batch(head: str, side: int, objects: int, images: int, seed: int = 0) -> Batch:
    """Noise with boxes anywhere."""
    generator = torch.Generator().manual_seed(seed)
    settings = head_named(head)()
    return Batch(
        images=[torch.randint(256, (3, side, side), generator=generator, dtype=torch.uint8) for _ in range(images)],
        targets=[_target(settings, side, objects, generator) for _ in range(images)],
        indices=list(range(images)),
        names=[f"image {number}" for number in range(images)],
        original_sizes=[(side, side)] * images,
        seeds=list(range(images)),
    )


def _target(head: HeadSettings, side: int, objects: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    least, most = (min(limit, side // 2) for limit in _SIDES)
    extent = torch.randint(least, most + 1, (objects, 2), generator=generator)
    corner = (torch.rand(objects, 2, generator=generator) * (side - extent)).long()
    boxes = torch.cat([corner, corner + extent], 1)
    target = {
        "boxes": boxes.float(),
        "labels": torch.randint(3, (objects,), generator=generator),
        "crowd_boxes": torch.zeros(0, 4),
        "unlabelled": torch.zeros(0, dtype=torch.int64),
    }
    if head.finds_masks:
        target["masks"] = torch.zeros(objects, side, side, dtype=torch.uint8)
        for mask, (x_min, y_min, x_max, y_max) in zip(target["masks"], boxes.tolist(), strict=True):
            mask[y_min:y_max, x_min:x_max] = 1
    return target


def _grown(title: str, ours: Ours, batches: dict[int, Batch], growth: Growth, device: torch.device) -> Table:
    step = ours.step_on(device)
    seconds: dict[int, list[float]] = {count: [] for count in batches}
    for batch in batches.values():
        step(batch)
    for _ in range(growth.rounds):
        for count, batch in batches.items():
            seconds[count].append(_seconds(step, batch, device) / len(batch))
    memory = [_peak(ours, batch.to(device), device) / len(batch) for batch in batches.values()]
    table = Table("", "ms an image", "", "MiB an image", "", title=title, title_justify="left")
    times = [statistics.median(values) for values in seconds.values()]
    for count, time_, memory_ in zip(batches, times, memory, strict=True):
        table.add_row(str(count), f"{1e3 * time_:.1f}", _rise(time_, times), f"{memory_:.1f}", _rise(memory_, memory))
    return table


def _rise(value: float, values: Sequence[float]) -> str:
    return f"{value / values[0] - 1:+.0%}"


def _seconds(step: Callable[[Batch], object], batch: Batch, device: torch.device) -> float:
    _wait(device)
    started = time.perf_counter()
    step(batch)
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak(ours: Ours, batch: Batch, device: torch.device) -> float:
    """The most that tensors take at once on the way to the losses, above what is there before, in MiB. On the way back
    the gradients come on top, which are as large as the model whatever the images are."""

    def losses() -> None:
        with autocast(device, ours.settings.precision):
            ours.task.losses(ours.task.model, batch)

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        losses()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it says on stderr that there is no GPU
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        losses()
    # By the profiler's own list, each allocation and what is given back: it knows nothing of the allocator's caches.
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    level = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        level += event.nbytes()
        peak = max(peak, level)
    return peak / 2**20


def _tensors() -> float:
    """What Python's tensors hold, in MiB."""
    gc.collect()
    # Not by isinstance, which some objects answer with a warning; nor kinds that have no memory of their own.
    found = (one for one in gc.get_objects() if type(one) in (torch.Tensor, torch.nn.Parameter))
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in found}
    return sum(storages.values()) / 2**20


def _memory(device: torch.device) -> float:
    """In use now, in MiB: of the device where it is a GPU, otherwise of this process, without what it has freed."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if not status.is_file():
        raise SettingsError("what: level reads the memory of the process from /proc, which only Linux has")
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # glibc's, which keeps what was freed
        libc.malloc_trim(0)
    line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 2**10
