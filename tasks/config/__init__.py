"""Every setting, with its type, its range and its default. Imports neither torch nor the rest of `tasks`.

A setting has one path, `optim.weight_decay`: as a flag `--optim.weight-decay`, in YAML as nested or
dotted keys. Some have a short flag as well.
"""

from tasks.config.defaults import DEFAULT_HEADS, run_defaults
from tasks.config.group import Group, SettingsError, nearest_setting
from tasks.config.heads import (
    Annotations,
    Attention,
    DetectorSettings,
    HeadName,
    HeadSettings,
    PublishedDetector,
    RegionSettings,
    SegmenterSettings,
    UNetSettings,
)
from tasks.config.recipes import find_recipe, list_recipes
from tasks.config.settings import (
    SHAPES,
    BackboneSettings,
    DataSettings,
    OptimSettings,
    ScheduleSettings,
    Settings,
    settings_for,
)
from tasks.config.yaml_files import differences, get, merge, read_yaml

__all__ = [
    "DEFAULT_HEADS",
    "SHAPES",
    "Annotations",
    "Attention",
    "BackboneSettings",
    "DataSettings",
    "DetectorSettings",
    "Group",
    "HeadName",
    "HeadSettings",
    "OptimSettings",
    "PublishedDetector",
    "RegionSettings",
    "ScheduleSettings",
    "SegmenterSettings",
    "Settings",
    "SettingsError",
    "UNetSettings",
    "differences",
    "find_recipe",
    "get",
    "list_recipes",
    "merge",
    "nearest_setting",
    "read_yaml",
    "run_defaults",
    "settings_for",
]
