"""The lines, by name. What a line needs is imported when its sides are built."""

from collections.abc import Callable
from typing import Any

from backbones import nearest
from tasks.benchmark.comparisons.line import Conditions, Line, Pair, Sizes
from tasks.config import SettingsError

_SCRIPT = "torchvision's reference recipe: its detector, SGD 0.9, fp32, NCHW"
_SCRIPT_ON_GPU = "torchvision's reference recipe: its detector, SGD 0.9, --amp in bf16, NCHW"
_EXPERT = "torchvision by an expert: its detector in bf16 and channels-last"
_SMP = "SMP's Unet in a plain fp32 loop with AdamW, everything trained: it freezes its whole encoder or nothing"
_DETECTION = Sizes(480, 480, 2), Sizes(800, 1088, 16)
_SEGMENTATION = Sizes(256, 256, 8), Sizes(512, 512, 32)
_INFERENCE = Sizes(224, 224, 4), Sizes(224, 224, 64)
_FINETUNING = Sizes(320, 320, 4), Sizes(320, 320, 4)


def list_lines() -> list[str]:
    """The names, in the order of the table."""
    return [line.name for line in LINES]


def find_lines(names: tuple[str, ...]) -> list[Line]:
    """The lines of these names, in the order of the table; none named: all.

    Raises:
        SettingsError: there is no such line.
    """
    known = list_lines()
    for name in names:
        if name not in known:
            raise SettingsError(f"only: {name!r} is not known{nearest(name, known)} (there are {', '.join(known)})")
    return [line for line in LINES if not names or line.name in names]


def _detector(**options: Any) -> Callable[[Conditions], Pair]:
    def make(conditions: Conditions) -> Pair:
        from tasks.benchmark.comparisons.detectors import detector_pair

        return detector_pair(conditions, **options)

    return make


def _segmenter(**options: Any) -> Callable[[Conditions], Pair]:
    def make(conditions: Conditions) -> Pair:
        from tasks.benchmark.comparisons.segmenters import segmenter_pair

        return segmenter_pair(conditions, **options)

    return make


def _features(**options: Any) -> Callable[[Conditions], Pair]:
    def make(conditions: Conditions) -> Pair:
        from tasks.benchmark.comparisons.features import features_pair

        return features_pair(conditions, **options)

    return make


def _finetuning(conditions: Conditions) -> Pair:
    from tasks.benchmark.comparisons.finetuning import finetuning_pair

    return finetuning_pair(conditions)


LINES = (
    Line(
        "faster-rcnn-frozen",
        "Faster R-CNN, training step, stages 1-3 frozen",
        _SCRIPT,
        _detector(head="faster_rcnn", frozen_stages=3, expert=False),
        *_DETECTION,
        goal=0.25,
        gpu_goal=0.45,
        gpu_baseline=_SCRIPT_ON_GPU,
    ),
    Line(
        "faster-rcnn-frozen-expert",
        "Faster R-CNN, training step, stages 1-3 frozen",
        _EXPERT,
        _detector(head="faster_rcnn", frozen_stages=3, expert=True),
        *_DETECTION,
        goal=0.45,
        gpu_goal=0.45,
    ),
    Line(
        "faster-rcnn-free",
        "Faster R-CNN, training step, nothing frozen",
        _SCRIPT,
        _detector(head="faster_rcnn", frozen_stages=0, expert=False),
        *_DETECTION,
        goal=0.28,
        gpu_goal=0.55,
        gpu_baseline=_SCRIPT_ON_GPU,
    ),
    *(
        Line(
            f"{name.replace('_', '-')}-frozen",
            f"{title}, training step, stages 1-3 frozen",
            _SCRIPT,
            _detector(head=name, frozen_stages=3, expert=False),
            *_DETECTION,
            goal=0.40,
            gpu_goal=0.50,
            gpu_baseline=_SCRIPT_ON_GPU,
        )
        for name, title in (("mask_rcnn", "Mask R-CNN"), ("retinanet", "RetinaNet"), ("fcos", "FCOS"))
    ),
    Line(
        "faster-rcnn-inference",
        "Faster R-CNN, prediction",
        "torchvision's detector in eval mode, fp32, NCHW",
        _detector(head="faster_rcnn", frozen_stages=3, expert=False, train=False),
        *_DETECTION,
        gpu_goal=0.45,
        gpu_baseline="torchvision's detector in eval mode, bf16 autocast, NCHW",
    ),
    Line(
        "unet-frozen",
        "U-Net, training step, stages 1-3 frozen",
        _SMP,
        _segmenter(frozen_stages=3, expert=False),
        *_SEGMENTATION,
        goal=0.35,
    ),
    Line(
        "unet-frozen-by-hand",
        "U-Net, training step, stages 1-3 frozen",
        "SMP's Unet in a plain fp32 loop with AdamW, the same stages of its encoder frozen and held by hand",
        _segmenter(frozen_stages=3, expert=False, by_hand=True),
        *_SEGMENTATION,
    ),
    Line(
        "unet-free",
        "U-Net, training step, nothing frozen",
        "SMP's Unet in a plain fp32 loop with AdamW",
        _segmenter(frozen_stages=0, expert=False),
        *_SEGMENTATION,
        goal=0.60,
    ),
    Line(
        "unet-free-expert",
        "U-Net, training step, nothing frozen",
        "SMP by an expert: its Unet in bf16 and channels-last",
        _segmenter(frozen_stages=0, expert=True),
        *_SEGMENTATION,
        goal=0.95,
        gpu_goal=0.95,
    ),
    Line(
        "unet-frozen-expert",
        "U-Net, training step, stages 1-3 frozen",
        "SMP by an expert: its Unet in bf16 and channels-last, everything trained",
        _segmenter(frozen_stages=3, expert=True),
        *_SEGMENTATION,
        gpu_goal=0.50,
    ),
    Line(
        "features-fp32",
        "Backbone's c2..c5, inference, folded and compiled, fp32",
        "timm's features_only, eager, fp32",
        _features(precision="fp32"),
        *_INFERENCE,
        goal=0.50,
    ),
    Line(
        "features-bf16",
        "Backbone's c2..c5, inference, folded and compiled, bf16",
        "timm's features_only, eager, fp32",
        _features(precision="bf16"),
        *_INFERENCE,
        goal=0.27,
    ),
    Line(
        "finetuning",
        "Faster R-CNN, one epoch on real data, stages 1-3 frozen, from the process's start to its metrics",
        "torchvision's reference engine: warm-up, train_one_epoch, evaluate with pycocotools; fp32",
        _finetuning,
        *_FINETUNING,
        goal=0.40,
        needs_data=True,
    ),
)
