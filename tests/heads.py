"""Heads and the settings of runs, for tests."""

from typing import Any

from tasks.config import Annotations, DataSettings, HeadSettings, Settings, data_settings, settings_for
from tasks.heads import head_named
from tasks.training import find_optimizer, find_schedule


def head(name: str = "faster_rcnn", **options: Any) -> HeadSettings:
    """A head's settings, whatever its task."""
    return _class(name)(**options)


def data_for(annotations: Annotations = "boxes", /, **options: Any) -> DataSettings:
    """The data settings of the task that learns from these annotations."""
    task = {"masks": "segmentation", "labels": "classification"}.get(annotations, "detection")
    return data_settings(task)(**options)


def run_settings(head_name: str = "faster_rcnn", optim: Any = None, schedule: Any = None, **groups: Any) -> Settings:
    """The settings of a run with this head, and with the optimizer and the schedule that these groups name."""
    optim, schedule = optim or {}, schedule or {}
    kinds = find_optimizer(optim.get("name", "sgd")), find_schedule(schedule.get("name", "cosine"))
    return settings_for(_class(head_name), *kinds)(optim=optim, schedule=schedule, **groups)


def _class(name: str) -> type[HeadSettings]:
    return head_named(name)
