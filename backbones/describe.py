"""What a backbone is made of, stage by stage."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from backbones.registry import create_backbone


@dataclass(frozen=True)
class StageSummary:
    """A stage of a backbone.

    Attributes:
        stage: its number; 0 is the stem.
        level: what it gives; "" for a stem that hands out nothing.
        shape: of that level for one image: (channels, height, width).
        stride: of that level.
        parameters: how many numbers.
        macs: multiply-adds of its convolutions and products of matrices, for one image.
        frozen: the share of the backbone's parameters (0..1) that freezing up to this stage holds still.
    """

    stage: int
    level: str
    shape: tuple[int, ...]
    stride: int | None
    parameters: int
    macs: int
    frozen: float


def describe_backbone(name: str, image_size: int = 224, **options: Any) -> list[StageSummary]:
    """The stages of a backbone for square images. Nothing is computed: it is built on the meta device.

    Args:
        name, options: as in `create_backbone`.
        image_size: side in pixels.
    """
    with torch.device("meta"):
        backbone = create_backbone(name, **options).eval()
        channels = len(backbone.mean)
        with FlopCounterMode(display=False, custom_mapping=_DEFORMABLE) as counter, torch.no_grad():
            levels = backbone(torch.zeros(1, channels, image_size, image_size))
    flops = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    names = {module: f"{type(backbone).__name__}.{name}" for name, module in backbone.named_modules()}

    def macs(module: nn.Module) -> int:
        if names.get(module) in flops:
            return flops[names[module]] // 2
        return sum(macs(child) for child in module.children())  # a list of modules is never called itself

    total, held = backbone.num_parameters(), 0
    rows = []
    strays = len(backbone.stages()) - len(backbone.features)
    for number, stage in enumerate(backbone.stages()):
        info = backbone.features[number - strays] if number >= strays else None
        parameters = sum(parameter.numel() for parameter in nn.ModuleList(stage).parameters())
        held += parameters
        rows.append(
            StageSummary(
                stage=number,
                level=info.name if info else "",
                shape=tuple(levels[info.name].shape[1:]) if info else (),
                stride=info.stride if info else None,
                parameters=parameters,
                macs=sum(macs(module) for module in stage),
                frozen=held / total,
            )
        )
    return rows


def _deformable_flops(x_shape: Any, weight_shape: Any, *_rest: Any, out_shape: Any = None, **_options: Any) -> int:
    batch, out_channels, height, width = out_shape
    _, in_channels, *kernel = weight_shape
    return 2 * batch * out_channels * height * width * in_channels * kernel[0] * kernel[1]


_DEFORMABLE = {torch.ops.torchvision.deform_conv2d: _deformable_flops}
