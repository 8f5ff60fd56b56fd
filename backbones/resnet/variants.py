"""The family: a row of choices for every residual network that has a name."""

from dataclasses import dataclass, replace
from typing import Literal

from backbones.resnet.blocks import (
    BasicBlock,
    Bottleneck,
    PreActBasicBlock,
    PreActBottleneck,
    Res2Bottleneck,
    ResidualBlock,
)
from backbones.resnet.shortcuts import Shortcut


@dataclass(frozen=True)
class Variant:
    """A row of the table.

    Attributes:
        depths: blocks in each stage; `planes`: a stage's width, before the block's expansion.
        groups, base_width: the width inside a block is planes * base_width / 64 * groups (ResNeXt, section 3.3).
        stem: "plain", a 7x7 with stride 2 and a max-pool; "deep", three 3x3 instead of the 7x7 (ResNet-D);
            "small", one 3x3 with stride 1 and no pool, for images of about 32 px.
        stem_channels: what the stem gives.
    """

    block: type[ResidualBlock]
    depths: tuple[int, ...]
    planes: tuple[int, ...] = (64, 128, 256, 512)
    groups: int = 1
    base_width: int = 64
    stem: Literal["plain", "deep", "small"] = "plain"
    stem_channels: int = 64
    shortcut: Shortcut = "project"
    attention: str | None = None
    gated: bool = False

    def width(self, stage: int) -> int:
        return self.planes[stage] * self.base_width // 64 * self.groups

    def channels(self, stage: int) -> int:
        return self.planes[stage] * self.block.expansion


def _resnet_d(row: Variant) -> Variant:
    return replace(row, stem="deep", shortcut="average")


def _cifar(depth: int, shortcut: Shortcut = "pad") -> Variant:
    blocks = (depth - 2) // 6
    return Variant(
        BasicBlock, (blocks, blocks, blocks), planes=(16, 32, 64), stem="small", stem_channels=16, shortcut=shortcut
    )


_R18 = Variant(BasicBlock, (2, 2, 2, 2))
_R34 = Variant(BasicBlock, (3, 4, 6, 3))
_R50 = Variant(Bottleneck, (3, 4, 6, 3))
_R101 = Variant(Bottleneck, (3, 4, 23, 3))
_R152 = Variant(Bottleneck, (3, 8, 36, 3))

VARIANTS = {
    # He et al. 2016, "Deep residual learning for image recognition", Table 1
    "resnet18": _R18,
    "resnet34": _R34,
    "resnet50": _R50,
    "resnet101": _R101,
    "resnet152": _R152,
    # Xie et al. 2017, "Aggregated residual transformations for deep neural networks"
    "resnext50_32x4d": replace(_R50, groups=32, base_width=4),
    "resnext101_32x8d": replace(_R101, groups=32, base_width=8),
    "resnext101_64x4d": replace(_R101, groups=64, base_width=4),
    # Zagoruyko and Komodakis 2016, "Wide residual networks": the bottleneck's 3x3 twice as wide
    "wide_resnet50_2": replace(_R50, base_width=128),
    "wide_resnet101_2": replace(_R101, base_width=128),
    # He et al. 2019, "Bag of tricks for image classification", section 4: ResNet-D
    "resnet18d": _resnet_d(_R18),
    "resnet34d": _resnet_d(_R34),
    "resnet50d": _resnet_d(_R50),
    "resnet101d": _resnet_d(_R101),
    "resnet152d": _resnet_d(_R152),
    # He et al. 2016, "Identity mappings in deep residual networks"
    "resnetv2_18": replace(_R18, block=PreActBasicBlock),
    "resnetv2_34": replace(_R34, block=PreActBasicBlock),
    "resnetv2_50": replace(_R50, block=PreActBottleneck),
    "resnetv2_101": replace(_R101, block=PreActBottleneck),
    "resnetv2_152": replace(_R152, block=PreActBottleneck),
    # Gao et al. 2021, "Res2Net: a new multi-scale backbone architecture": four slices of 26 channels
    "res2net50_26w_4s": replace(_R50, block=Res2Bottleneck, base_width=26),
    "res2net101_26w_4s": replace(_R101, block=Res2Bottleneck, base_width=26),
    # attention.py names the papers
    "seresnet50": replace(_R50, attention="se"),
    "ecaresnet50": replace(_R50, attention="eca"),
    "cbamresnet50": replace(_R50, attention="cbam"),
    "dyresnet18": replace(_R18, gated=True),
    "dyresnet50": replace(_R50, gated=True),
    # He et al. 2016, "Deep residual learning", section 4.2 and Table 6, and its plain counterparts
    **{f"cifar_resnet{depth}": _cifar(depth) for depth in (20, 32, 44, 56, 110, 1202)},
    **{f"cifar_plain{depth}": _cifar(depth, shortcut="none") for depth in (20, 56)},
    # Zagoruyko and Komodakis 2016, Table 1 with k = 10, N = 4
    "cifar_wrn28_10": Variant(PreActBasicBlock, (4, 4, 4), planes=(160, 320, 640), stem="small", stem_channels=16),
}
