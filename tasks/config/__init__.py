"""Every setting, with its type, its range and its default. Imports neither torch nor the rest of `tasks`.

A setting has one path, `optim.weight_decay`: as a flag `--optim.weight-decay`, in YAML as nested or
dotted keys. Some have a short flag as well.
"""

from tasks.config.by_name import attributes_by_name
from tasks.config.defaults import DEFAULT_HEADS, DEFAULT_OPTIMIZER, DEFAULT_SCHEDULE, run_defaults
from tasks.config.group import Group, NamedGroup, SettingsError, UserPath, UserText, nearest_flag, nearest_setting
from tasks.config.heads import (
    Annotations,
    Attention,
    DetectorSettings,
    HeadName,
    HeadSettings,
    PublishedDetector,
    Ratio,
    RegionSettings,
    SegmenterSettings,
    UNetSettings,
    check_order,
)
from tasks.config.recipes import find_recipe, list_recipes
from tasks.config.settings import (
    SHAPES,
    BackboneSettings,
    DataSettings,
    LearningRate,
    OptimizerName,
    OptimSettings,
    ScheduleName,
    ScheduleSettings,
    Settings,
    settings_for,
)
from tasks.config.yaml_files import differences, get, merge, read_yaml

__all__ = [
    "DEFAULT_HEADS",
    "DEFAULT_OPTIMIZER",
    "DEFAULT_SCHEDULE",
    "SHAPES",
    "Annotations",
    "Attention",
    "BackboneSettings",
    "DataSettings",
    "DetectorSettings",
    "Group",
    "HeadName",
    "HeadSettings",
    "LearningRate",
    "NamedGroup",
    "OptimSettings",
    "OptimizerName",
    "PublishedDetector",
    "Ratio",
    "RegionSettings",
    "ScheduleName",
    "ScheduleSettings",
    "SegmenterSettings",
    "Settings",
    "SettingsError",
    "UNetSettings",
    "UserPath",
    "UserText",
    "attributes_by_name",
    "check_order",
    "differences",
    "find_recipe",
    "get",
    "list_recipes",
    "merge",
    "nearest_flag",
    "nearest_setting",
    "read_yaml",
    "run_defaults",
    "settings_for",
]
