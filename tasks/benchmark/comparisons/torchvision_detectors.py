"""torchvision's detectors as its reference script builds and trains them (references/detection/train.py)."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from tasks.benchmark.comparisons.images import as_floats
from tasks.data import Batch

_KINDS: Mapping[str, Any] = {"faster_rcnn": FasterRCNN, "mask_rcnn": MaskRCNN, "retinanet": RetinaNet, "fcos": FCOS}
_LAYERS = 5  # that torchvision counts: the stem and four stages
_EVERYTHING = 10**6
_MOMENTUM, _WEIGHT_DECAY = 0.9, 1e-4


def torchvision_detector(
    head: str, backbone: str, classes: int, *, frozen_stages: int = 0, min_size: int = 800, max_size: int = 1333
) -> nn.Module:
    """What `fasterrcnn_resnet50_fpn` and its like build from a pretrained backbone, with norms that hold still.

    Args:
        classes: without the background.
        frozen_stages: the stem and so many stages; 0 freezes nothing.
    """
    one_stage = head in ("retinanet", "fcos")
    body = resnet_fpn_backbone(
        backbone_name=backbone,
        weights=None,
        trainable_layers=_LAYERS - (frozen_stages + 1 if frozen_stages else 0),
        returned_layers=[2, 3, 4] if one_stage else None,
        extra_blocks=LastLevelP6P7(256, 256) if one_stage else None,
    )
    options = {"score_thresh": 0.05, "detections_per_img": 100} if one_stage else {}  # as ours by default
    detector: nn.Module = _KINDS[head](body, classes + 1, min_size=min_size, max_size=max_size, **options)
    return detector


def for_torchvision(batch: Batch) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Floats, and labels from 1: the background is 0."""
    targets = [
        {key: target[key] for key in ("boxes", "masks") if key in target} | {"labels": target["labels"] + 1}
        for target in batch.targets
    ]
    return as_floats(batch), targets


def reference_step(
    model: nn.Module, batches: Sequence[Batch], device: torch.device, precision: str, lr: float
) -> Callable[[int], object]:
    """A step of its `train_one_epoch`, without the log."""
    model.to(device).train()
    ready = [for_torchvision(batch) for batch in batches]
    optimizer = torch.optim.SGD(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=lr,
        momentum=_MOMENTUM,
        weight_decay=_WEIGHT_DECAY,
    )

    def step(number: int) -> object:
        images, targets = ready[number % len(ready)]
        images = [image.to(device) for image in images]
        targets = [{key: value.to(device) for key, value in target.items()} for target in targets]
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            total = sum(model(images, targets).values())
        if not math.isfinite(total.item()):
            raise RuntimeError("the peer's loss is not finite")
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return None

    return step


@contextmanager
def learning_from_everything(*models: nn.Module) -> Iterator[None]:
    """Two-stage detectors, ours and torchvision's, learn from all anchors and proposals instead of a random few, which
    each draws in its own way: the one thing about them that differs on purpose."""
    samplers: list[Any] = [
        part.fg_bg_sampler for model in models for part in model.children() if hasattr(part, "fg_bg_sampler")
    ]
    before = [sampler.batch_size_per_image for sampler in samplers]
    for sampler in samplers:
        sampler.batch_size_per_image = _EVERYTHING
    try:
        yield
    finally:
        for sampler, size in zip(samplers, before, strict=True):
            sampler.batch_size_per_image = size
