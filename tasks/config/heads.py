"""Which head is for which task, and which settings it has."""

from typing import Literal, get_args

Head = Literal[
    "faster_rcnn",
    "mask_rcnn",
    "retinanet",
    "fcos",
    "unet",
    "unetplusplus",
    "manet",
    "linknet",
    "fpn",
    "pspnet",
    "pan",
    "deeplabv3",
    "deeplabv3plus",
    "upernet",
]
_DETECTORS: tuple[Head, ...] = ("faster_rcnn", "mask_rcnn", "retinanet", "fcos")
MASK_HEADS = ("mask_rcnn",)  # those that find outlines too
HEADS: dict[str, tuple[Head, ...]] = {
    "detection": _DETECTORS,
    "segmentation": tuple(name for name in get_args(Head) if name not in _DETECTORS),
}
# Of the backbone: the first one is what a head takes by itself.
OUTPUT_STRIDES: dict[str, tuple[int, ...]] = dict.fromkeys(get_args(Head), (32,)) | {
    "pspnet": (8, 16),
    "pan": (16, 32),
    "deeplabv3": (8, 16),
    "deeplabv3plus": (16, 8),
}

_BOXES = {"channels", "score_threshold", "detections_per_image"}
_REGIONS = _BOXES | {"representation", "anchor_scale", "rois_per_image", "v2"}
_PIXELS = {
    "loss",
    "class_weights",
    "balance_classes",
    "label_smoothing",
    "window",
    "overlap",
    "mirror",
    "boundary_tolerance",
}
SETTINGS_OF: dict[str, set[str]] = {
    "faster_rcnn": _REGIONS,
    "mask_rcnn": _REGIONS,
    "retinanet": _BOXES | {"anchor_scale"},
    "fcos": _BOXES,
    "unet": _PIXELS | {"decoder_channels", "attention", "center", "deep_supervision"},
    "unetplusplus": _PIXELS | {"decoder_channels", "attention"},
    "manet": _PIXELS | {"decoder_channels"},
    "linknet": _PIXELS,
    "fpn": _PIXELS | {"channels"},
    "pspnet": _PIXELS,
    "pan": _PIXELS,
    "deeplabv3": _PIXELS | {"channels"},
    "deeplabv3plus": _PIXELS | {"channels"},
    "upernet": _PIXELS | {"channels"},
}

# torchvision's published detectors: the head of the same keys, and whether it is the v2 recipe.
PUBLISHED_DETECTORS: dict[str, tuple[Head, bool]] = {
    "fasterrcnn_resnet50_fpn": ("faster_rcnn", False),
    "fasterrcnn_resnet50_fpn_v2": ("faster_rcnn", True),
    "maskrcnn_resnet50_fpn": ("mask_rcnn", False),
    "maskrcnn_resnet50_fpn_v2": ("mask_rcnn", True),
    "retinanet_resnet50_fpn": ("retinanet", False),
    "fcos_resnet50_fpn": ("fcos", False),
}
