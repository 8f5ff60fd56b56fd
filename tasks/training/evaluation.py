"""A metric over a whole split, on one process or several."""

import torch
from rich.console import Console
from torch import nn

from tasks.data import Loader
from tasks.processes import gathered, processes, rank
from tasks.task import Metric, Task
from tasks.training.progress import progress_bar
from tasks.training.step import autocast
from tasks.training.stopping import Interrupted


def evaluate(
    task: Task,
    model: nn.Module,
    loader: Loader,
    device: torch.device,
    precision: str,
    console: Console,
    stop: list[int] | None = None,
) -> Metric:
    """The task's metric, having seen all of a loader's images; several processes share them out.

    Args:
        model: the task's, or another with other weights; not as several processes train it.
        stop: signals that came.

    Raises:
        Interrupted: one came, on whichever process.
    """
    model.eval()
    metric = task.metric(loader.samples)
    with progress_bar(console, "evaluating", len(loader)) as bar, torch.inference_mode():
        for batch in loader.batches(first_batch=rank(), step=processes()):
            if stop:
                break
            with autocast(device, precision):
                predictions = task.predict(model, batch.to(device))
            metric.update(batch, predictions)
            bar("")
    # Two copies at most: the arrays of one process after the other would wait for each other as often.
    seen = gathered((list(stop or ()), metric.arrays() if processes() > 1 else {}))
    if received := [number for numbers, _ in seen for number in numbers]:
        raise Interrupted(received[0])
    for number, (_, arrays) in enumerate(seen):
        if number != rank():
            metric.merge(arrays)
    return metric
