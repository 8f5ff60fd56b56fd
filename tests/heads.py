"""Heads and the settings of runs, for tests."""

from typing import Any

from tasks.config import HeadSettings, Settings, settings_for
from tasks.heads import find_head, list_heads


def head(name: str = "faster_rcnn", **options: Any) -> HeadSettings:
    """A head's settings, whatever its task."""
    return _class(name)(**options)


def run_settings(head_name: str = "faster_rcnn", **groups: Any) -> Settings:
    """The settings of a run with this head."""
    return settings_for(_class(head_name))(**groups)


def _class(name: str) -> type[HeadSettings]:
    task = "detection" if name in list_heads("detection") else "segmentation"
    return find_head(name, task)
