"""Descriptions of models (model.json) that older versions wrote, in today's format.

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


def refuse_newer(written: int, path: Path) -> None:
    """Raise where a newer version wrote a file."""
    if written > FORMAT:
        raise InputError(
            f"{path}: has format {written}, this version of vertebra reads up to {FORMAT}: install a newer one"
        )


def _from_0(description: dict[str, Any]) -> dict[str, Any]:
    head = description.get("head", {})
    kind = str(head.get("name"))
    if kind not in _HEADS:
        return description
    kept = {name: value for name, value in head.items() if name in _HEADS[kind]}
    if "anchor_scale" in kept and kept["anchor_scale"] is None:
        kept["anchor_scale"] = _ANCHOR_SCALES.get(kind, 8.0)
    # What had no use was taken and did nothing: it is left out, so that it is not refused now.
    without = _OF_CROSS_ENTROPY if "cross_entropy" not in kept.get("loss", "cross_entropy") else ()
    if kept.get("balance_classes"):
        without = (*without, "class_weights")
    return description | {"head": {name: value for name, value in kept.items() if name not in without}}


_STEPS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_from_0,)
