"""What the trainer's loop costs by itself: a model that does nothing, on images that are there already."""

import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.data import Batch

_STEPS, _LOSSES = 500, 4


def time_loop(console: Console, *, rounds: int = 3) -> int:
    """Time some hundred steps with the log on, several times."""
    milliseconds = [1000 * _seconds(console) / _STEPS for _ in range(rounds)]
    listed = ", ".join(f"{one:.2f}" for one in milliseconds)
    console.print(f"the loop takes {statistics.median(milliseconds):.2f} ms a step ({listed})")
    return 0


def _seconds(console: Console) -> float:
    from tasks.config import settings_for
    from tasks.heads import find_head
    from tasks.training import Run, Trainer, find_optimizer, find_schedule, make_accelerator

    kind = settings_for(find_head("unet", "segmentation"), find_optimizer("sgd"), find_schedule("cosine"))
    settings = kind(schedule={"name": "cosine", "epochs": 1})
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        run.start(settings)
        quiet = Console(quiet=True)
        nothing: Any = _Nothing()
        trainer = Trainer(nothing, settings, run, {}, make_accelerator("cpu"), quiet, {})
        state = trainer.fit(_Batches(_STEPS), _Batches(1), [])  # type: ignore[arg-type]
        return state.train_seconds


class _Nothing:
    """A task whose model is a number and whose losses are its squares."""

    name, best_metric, classes = "nothing", "figure", ("nothing",)

    def __init__(self) -> None:
        from torch import nn

        self.backbone: Any = self
        self.model: nn.Module = nn.Linear(1, 1)

    def frozen_modules(self) -> Sequence["nn.Module"]:
        return ()

    def losses(self, model: "nn.Module", _batch: "Batch") -> "dict[str, Tensor]":
        import torch

        total = torch.stack([parameter.square().sum() for parameter in model.parameters()]).sum()
        return {f"loss_{number}": total * 1.0 for number in range(_LOSSES)}

    def predict(self, _model: "nn.Module", _batch: "Batch") -> Sequence[Any]:
        return []

    def metric(self, _samples: Any) -> Any:
        return _Figure()


class _Figure:
    def update(self, _batch: "Batch", _predictions: Sequence[Any]) -> None:
        pass

    def arrays(self) -> Mapping[str, Any]:
        return {}

    def compute(self) -> dict[str, float]:
        return {"figure": 1.0, "images": 1}


class _Batches:
    """As a loader gives them: the same one over and over."""

    samples = ()

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def batches(self, *_args: int, **_options: int) -> "Iterator[Batch]":
        import torch

        from tasks.data import Batch

        image = torch.zeros(3, 32, 32, dtype=torch.uint8)
        batch = Batch([image] * 4, [{}] * 4, [0, 1, 2, 3], list("abcd"), [(32, 32)] * 4)
        return (batch for _ in range(self._count))

    def failure(self, _error: RuntimeError) -> None:
        return None
