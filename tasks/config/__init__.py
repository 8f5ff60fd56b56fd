"""Every setting, with its type, its range and its default. Imports neither torch nor the rest of `tasks`.

A setting has one path, `optim.weight_decay`: as a flag `--optim.weight-decay`, in YAML as nested or
dotted keys. Some have a short flag as well.
"""

from tasks.config.backbone import BackboneSettings
from tasks.config.by_name import attributes_by_name
from tasks.config.data import DATA_HELP, SHAPES, ClassificationData, DataSettings, DetectionData, SegmentationData
from tasks.config.defaults import DEFAULT_HEADS, DEFAULT_OPTIMIZER, DEFAULT_SCHEDULE, run_defaults
from tasks.config.flags import flag_model
from tasks.config.group import (
    Device,
    Group,
    NamedGroup,
    SettingsError,
    UnusedError,
    UserPath,
    UserText,
    refuse_unused,
)
from tasks.config.heads import (
    Annotations,
    Attention,
    ClassifierSettings,
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
from tasks.config.losses import parse_loss
from tasks.config.names import flag_paths, given_paths, nearest_flag, setting_paths
from tasks.config.optim import LearningRate, OptimizerName, OptimSettings, ScheduleName, ScheduleSettings
from tasks.config.recipes import find_recipe, list_recipes
from tasks.config.settings import (
    TASKS,
    Settings,
    data_settings,
    settings_for,
)
from tasks.config.yaml_files import differences, get, merge, read_yaml, spell_out, without

__all__ = [
    "DATA_HELP",
    "DEFAULT_HEADS",
    "DEFAULT_OPTIMIZER",
    "DEFAULT_SCHEDULE",
    "SHAPES",
    "TASKS",
    "Annotations",
    "Attention",
    "BackboneSettings",
    "ClassificationData",
    "ClassifierSettings",
    "DataSettings",
    "DetectionData",
    "DetectorSettings",
    "Device",
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
    "SegmentationData",
    "SegmenterSettings",
    "Settings",
    "SettingsError",
    "UNetSettings",
    "UnusedError",
    "UserPath",
    "UserText",
    "attributes_by_name",
    "check_order",
    "data_settings",
    "differences",
    "find_recipe",
    "flag_model",
    "flag_paths",
    "get",
    "given_paths",
    "list_recipes",
    "merge",
    "nearest_flag",
    "parse_loss",
    "read_yaml",
    "refuse_unused",
    "run_defaults",
    "setting_paths",
    "settings_for",
    "spell_out",
    "without",
]
