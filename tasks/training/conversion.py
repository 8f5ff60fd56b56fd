"""Descriptions of models (model.json) and settings of runs (config.yaml) that older versions wrote, in today's format.

Whoever changes what model.json or the training state mean raises `FORMAT` and adds a step here.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backbones import InputError

FORMAT = 1

# Before format 1 a description held the settings of all heads; these were a head's own.
_BOXES = ("name", "channels", "score_threshold", "detections_per_image")
_REGIONS = (*_BOXES, "representation", "anchor_scale", "rois_per_image", "v2")
_PIXELS = (
    "name",
    "loss",
    "class_weights",
    "balance_classes",
    "label_smoothing",
    "window",
    "overlap",
    "mirror",
    "boundary_tolerance",
)
_HEADS = {
    "faster_rcnn": _REGIONS,
    "mask_rcnn": _REGIONS,
    "retinanet": (*_BOXES, "anchor_scale"),
    "fcos": _BOXES,
    "unet": (*_PIXELS, "decoder_channels", "attention", "center", "deep_supervision"),
    "unetplusplus": (*_PIXELS, "decoder_channels", "attention"),
    "manet": (*_PIXELS, "decoder_channels"),
    "linknet": _PIXELS,
    "fpn": (*_PIXELS, "channels"),
    "pspnet": _PIXELS,
    "pan": _PIXELS,
    "deeplabv3": (*_PIXELS, "channels"),
    "deeplabv3plus": (*_PIXELS, "channels"),
    "upernet": (*_PIXELS, "channels"),
}

_OF_CROSS_ENTROPY = ("class_weights", "balance_classes", "label_smoothing")
_V2_REPRESENTATION = 1024  # whatever was set
_ANCHOR_SCALES = {"retinanet": 4.0}  # what None meant; 8 for the others


def convert_description(description: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A description of any format up to `FORMAT`, in that format.

    Args:
        path: what messages call it.

    Raises:
        InputError: a newer version wrote it, or it is of no format.
    """
    if not isinstance(description, Mapping) or not isinstance(description.get("head", {}), Mapping):
        raise InputError(f"{path}: not a description of a model")
    written = description.get("format", 0)
    if type(written) is not int or written < 0:
        raise InputError(f"{path}: not a description of a model: it has the format {written!r}")
    refuse_newer(written, path)
    converted = dict(description)
    for number in range(written, FORMAT):
        converted = _STEPS[number](converted)
    return converted | {"format": FORMAT}


def refuse_newer(written: int, path: Path, known: int = FORMAT) -> None:
    """Raise where a newer version wrote a file."""
    if written > known:
        raise InputError(
            f"{path}: has format {written}, this version of vertebra reads up to {known}: install a newer one"
        )


def _from_0(description: dict[str, Any]) -> dict[str, Any]:
    """What had no use was taken and did nothing: it is left out, so that it is not refused now."""
    head, backbone = (dict(description.get(group) or {}) for group in ("head", "backbone"))
    kind = str(head.get("name"))
    if kind not in _HEADS:
        return description
    head = {name: value for name, value in head.items() if name in _HEADS[kind]}
    if "anchor_scale" in head and head["anchor_scale"] is None:
        head["anchor_scale"] = _ANCHOR_SCALES.get(kind, 8.0)
    if head.get("v2"):
        head["representation"] = _V2_REPRESENTATION
    without = list(_OF_CROSS_ENTROPY) if "cross_entropy" not in head.get("loss", "cross_entropy") else []
    if head.get("balance_classes"):
        without.append("class_weights")
    if head.get("window") is None:
        without.append("overlap")
    if backbone.get("weights") is not None:
        backbone.pop("init", None)
    converted = {"head": {name: value for name, value in head.items() if name not in without}}
    return description | converted | ({"backbone": backbone} if backbone else {})


_STEPS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_from_0,)

# A config.yaml has no format. It shows its age by the settings that it holds together: all heads' and all tasks'.
_OF_EVERY_HEAD = {"name", "rois_per_image", "v2", "decoder_channels", "deep_supervision"}
_OF_ONE_TASK = {
    "detection": ("voc_one_based",),
    "segmentation": ("fit", "balanced_crops", "classes", "ignore_index"),
}


def convert_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a file, without those that older versions wrote into every config.yaml and did not use."""
    converted, task = dict(values), values.get("task")
    head, data = (content if isinstance(content := values.get(group), Mapping) else {} for group in ("head", "data"))
    if head.keys() >= _OF_EVERY_HEAD:
        converted = _from_0(converted)
    if data.keys() >= {name for names in _OF_ONE_TASK.values() for name in names}:
        without = {name for other, names in _OF_ONE_TASK.items() if other != task for name in names}
        if data.get("sampling") != "repeat":
            without.add("repeat_threshold")
        if data.get("path") != "shapes":
            without.add("count")
        converted["data"] = {name: value for name, value in data.items() if name not in without}
        if task == "segmentation":
            converted.pop("evaluator", None)
    return converted
