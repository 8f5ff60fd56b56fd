"""ResNet-family backbones by name, with feature pyramids and stage freezing."""

from backbones import resnet as _resnet  # registers the family
from backbones.errors import InputError
from backbones.features import Backbone, FeatureInfo
from backbones.fpn import FeaturePyramid
from backbones.freezing import FreezeReport
from backbones.registry import create_backbone, list_backbones, register_backbone
from backbones.weights import LoadReport

__all__ = [
    "Backbone",
    "FeatureInfo",
    "FeaturePyramid",
    "FreezeReport",
    "InputError",
    "LoadReport",
    "create_backbone",
    "list_backbones",
    "register_backbone",
]

del _resnet
