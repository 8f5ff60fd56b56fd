"""What must be as it was where a run is resumed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from backbones import InputError
from tasks.config import Settings, differences, get, read_yaml
from tasks.data import DataSet, Fingerprint, what_changed
from tasks.runs.layers import FREE_ON_RESUME
from tasks.training import Run, TrainingState, convert_config, read_description


def is_complete(run: Run, settings: Settings) -> bool:
    """Whether there is nothing left to do; a schedule may let a run have more epochs than it had."""
    summary = run.read_summary()
    return summary.get("status") == "completed" and settings.schedule.epochs <= summary.get("epochs_at_most", 0)


def with_own_augmentation(settings: Settings, run: Run) -> Settings:
    """With the run's own copy of an augmentation's file: the file itself may have changed, or be gone."""
    if not run.augmentation.is_file() or Path(settings.data.augment).suffix not in (".yaml", ".yml"):
        return settings
    return with_augmentation(settings, str(run.augmentation))


def with_augmentation(settings: Settings, augment: str) -> Settings:
    return settings.model_copy(update={"data": settings.data.model_copy(update={"augment": augment})})


def _other_settings(settings: Settings, run: Run) -> list[str]:
    before = type(settings)(**convert_config(read_yaml(run.config)))
    return [
        f"{path}: is {get(settings, path)!r} from here on; it was {get(before, path)!r}"
        for path in differences(before, settings)
        if path not in FREE_ON_RESUME
    ]


def check_same_data(
    settings: Settings,
    run: Run,
    state: TrainingState,
    data: DataSet[Any],
    known: Mapping[str, Fingerprint],
    console: Console,
) -> None:
    """Raise where the classes, the images or their annotations are not those that the run began with.

    With `resume_anyway` it is said, and noted in the state.
    """
    trained = tuple(read_description(run.last)["classes"])
    for line in _other_settings(settings, run) if settings.resume_anyway else ():
        console.print(f"warning: {line}")
        state.anyway.append(f"step {state.step}: {line}")
    found = []
    if trained != data.classes:
        found.append(f"the classes {', '.join(trained)}; the data has {', '.join(data.classes)}")
    if changed := what_changed(state.fingerprints(), known):
        found.append(f"other data: {changed}")
    for difference in found:
        if not settings.resume_anyway:
            raise InputError(
                f"{run.last}: was trained on {difference}; start another run, or add --resume-anyway, which goes on "
                "and writes that down"
            )
        console.print(f"warning: {run.last}: was trained on {difference}; it goes on anyway")
        state.anyway.append(f"step {state.step}: {difference}")
