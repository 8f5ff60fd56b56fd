"""Every setting. Imports neither torch nor the rest of `tasks`.

A setting has one path, `optim.weight_decay`: as a flag `--optim.weight-decay`, in YAML as nested or
dotted keys. Some have a short flag as well.
"""

from tasks.config.defaults import defaults
from tasks.config.files import differences, get, merge, read_yaml
from tasks.config.group import Group, SettingsError, nearest_setting, setting_paths
from tasks.config.heads import HEADS, MASK_HEADS, OUTPUT_STRIDES, PUBLISHED_DETECTORS, Head
from tasks.config.settings import (
    SHAPES,
    BackboneSettings,
    DataSettings,
    HeadSettings,
    OptimSettings,
    ScheduleSettings,
    Settings,
)

__all__ = [
    "HEADS",
    "MASK_HEADS",
    "OUTPUT_STRIDES",
    "PUBLISHED_DETECTORS",
    "SHAPES",
    "BackboneSettings",
    "DataSettings",
    "Group",
    "Head",
    "HeadSettings",
    "OptimSettings",
    "ScheduleSettings",
    "Settings",
    "SettingsError",
    "defaults",
    "differences",
    "get",
    "merge",
    "nearest_setting",
    "read_yaml",
    "setting_paths",
]
