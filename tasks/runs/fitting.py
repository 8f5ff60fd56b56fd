"""The training itself and its test, up to the figures in the run's folder."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from tasks.data import Loader
from tasks.processes import by_first
from tasks.runs.environment import environment
from tasks.runs.summary import metrics_table
from tasks.training import (
    Interrupted,
    OutOfTime,
    Run,
    Trainer,
    TrainingState,
    evaluate,
    load_weights_into,
    stop_signals,
)


def fit(
    trainer: Trainer, loaders: Mapping[str, Loader], run: Run, state: TrainingState | None, console: Console
) -> None:
    """Train, test the best checkpoint, and write what came out into the run's folder, whatever that is.

    Args:
        loaders: by split.
        state: to go on from.

    Raises:
        TrainingError, Interrupted: as `Trainer.fit`.
    """
    # Now: it asks a process of its own, which fails once the loader's workers have died.
    seen = environment(trainer.device)
    with stop_signals() as stop:
        try:
            if state is not None:
                trainer.resume(state)
                console.print(f"resumed at epoch {trainer.state.epoch + 1}, step {trainer.state.step}")
            console.print(f"training into {run.folder}")
            with trainer.explaining(loaders.values(), stop):
                state = trainer.fit(loaders["train"], loaders["val"], stop)
                assert state.best is not None
                tables = {"val": state.best["metrics"]}
                if "test" in loaders:
                    tables["test"] = _test(trainer, loaders["test"], stop, console)
        except BaseException as error:
            run.finish({"status": _status(error), "error": str(error) or "interrupted", "environment": seen})
            raise
        summary = _summary(state, loaders["train"].images * state.epoch, trainer.settings.schedule.epochs, seen)
        summary |= {"test": tables["test"]} if "test" in tables else {}
        summary |= {"resumed_anyway": state.anyway} if state.anyway else {}
        run.finish(summary)
    console.print(metrics_table(tables, f"best checkpoint (epoch {state.best['epoch']})"))
    console.print(
        f"{summary['train_seconds']:.0f} s of training, {summary['images_per_second']:.1f} images/s; "
        f"the best checkpoint is {run.best}"
    )


def _test(trainer: Trainer, loader: Loader, stop: list[int], console: Console) -> dict[str, float]:
    """The best checkpoint on the test split."""
    load_weights_into(trainer.task.model, trainer.run.best)
    precision = trainer.settings.precision
    metric = evaluate(trainer.task, trainer.task.model, loader, trainer.device, precision, console, stop)
    return by_first(metric.compute)


def _status(error: BaseException) -> str:
    if isinstance(error, OutOfTime):
        return "stopped"
    return "interrupted" if isinstance(error, (Interrupted, KeyboardInterrupt)) else "failed"


def _summary(state: TrainingState, images: int, epochs: int, seen: Mapping[str, Any]) -> dict[str, Any]:
    assert state.best is not None
    return {
        "status": "completed",
        "epochs": state.epoch,
        "epochs_at_most": epochs,
        "metrics": state.best["metrics"],
        "best": {"epoch": state.best["epoch"], "step": state.best["step"]},
        "seconds": state.seconds,
        "train_seconds": state.train_seconds,
        "images_per_second": images / state.train_seconds,
        "environment": seen,
    }
