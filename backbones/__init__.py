"""ResNet-family backbones by name, with feature pyramids and stage freezing.

What needs torch is imported when it is asked for: settings are checked, and `--help` answers, without it.
"""

from typing import TYPE_CHECKING

from backbones.errors import InputError, nearest
from backbones.freezing import FreezeReport, parse_stages
from backbones.late import hand_out

if TYPE_CHECKING:
    from backbones.apart import PLAIN_TENSORS, is_computed
    from backbones.checkpoint_files import read_state_dict
    from backbones.compiling import compile_for_inference
    from backbones.describe import StageSummary, describe_backbone
    from backbones.digests import changed_tensors, frozen_digests
    from backbones.features import Backbone, FeatureInfo, check_images, check_levels
    from backbones.folding import fold
    from backbones.fpn import FeaturePyramid
    from backbones.held import run_backbone
    from backbones.hub import IMAGENET_MEAN, IMAGENET_STD
    from backbones.layers import norm_layer
    from backbones.normalize import Normalize
    from backbones.promises import Check, ConformanceError, keep_promises
    from backbones.registry import create_backbone, list_backbones, load_weights, register_backbone
    from backbones.trial import naming_small_images, on_meta
    from backbones.weights import LoadReport, stem_statistics

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "PLAIN_TENSORS",
    "Backbone",
    "Check",
    "ConformanceError",
    "FeatureInfo",
    "FeaturePyramid",
    "FreezeReport",
    "InputError",
    "LoadReport",
    "Normalize",
    "StageSummary",
    "changed_tensors",
    "check_images",
    "check_levels",
    "compile_for_inference",
    "create_backbone",
    "describe_backbone",
    "fold",
    "frozen_digests",
    "hand_out",
    "is_computed",
    "keep_promises",
    "list_backbones",
    "load_weights",
    "naming_small_images",
    "nearest",
    "norm_layer",
    "on_meta",
    "parse_stages",
    "read_state_dict",
    "register_backbone",
    "run_backbone",
    "stem_statistics",
]

__getattr__ = hand_out(
    __name__,
    {
        "apart": ("PLAIN_TENSORS", "is_computed"),
        "checkpoint_files": ("read_state_dict",),
        "compiling": ("compile_for_inference",),
        "describe": ("StageSummary", "describe_backbone"),
        "digests": ("changed_tensors", "frozen_digests"),
        "features": ("Backbone", "FeatureInfo", "check_images", "check_levels"),
        "folding": ("fold",),
        "fpn": ("FeaturePyramid",),
        "held": ("run_backbone",),
        "hub": ("IMAGENET_MEAN", "IMAGENET_STD"),
        "layers": ("norm_layer",),
        "normalize": ("Normalize",),
        "promises": ("Check", "ConformanceError", "keep_promises"),
        "registry": ("create_backbone", "list_backbones", "load_weights", "register_backbone"),
        "trial": ("naming_small_images", "on_meta"),
        "weights": ("LoadReport", "stem_statistics"),
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
