"""ResNet, ResNeXt and Wide ResNet: one class and one table, with torchvision's keys and shapes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor, nn

from backbones.blocks import BasicBlock, Bottleneck
from backbones.errors import InputError
from backbones.features import Backbone, FeatureInfo, check_images
from backbones.layers import NormLayer, init_he, norm_layer
from backbones.registry import register_backbone

Init = Literal["he", "zero_last"]


@dataclass(frozen=True)
class Variant:
    """A row of the table. `base_width` is the width of a group in stage 1 (ResNeXt, section 3.3)."""

    block: type[BasicBlock] | type[Bottleneck]
    depths: tuple[int, int, int, int]
    groups: int = 1
    base_width: int = 64


VARIANTS = {
    # He et al. 2016, "Deep residual learning for image recognition", Table 1
    "resnet18": Variant(BasicBlock, (2, 2, 2, 2)),
    "resnet34": Variant(BasicBlock, (3, 4, 6, 3)),
    "resnet50": Variant(Bottleneck, (3, 4, 6, 3)),
    "resnet101": Variant(Bottleneck, (3, 4, 23, 3)),
    "resnet152": Variant(Bottleneck, (3, 8, 36, 3)),
    # Xie et al. 2017, "Aggregated residual transformations for deep neural networks"
    "resnext50_32x4d": Variant(Bottleneck, (3, 4, 6, 3), groups=32, base_width=4),
    "resnext101_32x8d": Variant(Bottleneck, (3, 4, 23, 3), groups=32, base_width=8),
    "resnext101_64x4d": Variant(Bottleneck, (3, 4, 23, 3), groups=64, base_width=4),
    # Zagoruyko and Komodakis 2016, "Wide residual networks": the bottleneck's 3x3 twice as wide
    "wide_resnet50_2": Variant(Bottleneck, (3, 4, 6, 3), base_width=128),
    "wide_resnet101_2": Variant(Bottleneck, (3, 4, 23, 3), base_width=128),
}


class ResNet(Backbone):
    """A residual network without its classifier.

    Args:
        variant: a row of `VARIANTS`.
        norm: batch | frozen.
        stride_in_1x1: the stride on the bottleneck's first 1x1, not on its 3x3.
        init: "he", or "zero_last": also the last norm of each residual branch starts at zero, so that
            every block starts as the identity (Goyal et al. 2017, section 5.1).
    """

    def __init__(
        self,
        variant: Variant,
        *,
        norm: str = "batch",
        stride_in_1x1: bool = False,
        init: Init = "he",
    ) -> None:
        super().__init__()
        if stride_in_1x1 and variant.block is not Bottleneck:
            raise InputError("stride_in_1x1 is for bottleneck blocks; basic blocks have no 1x1 to carry it")
        make_norm = norm_layer(norm)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = make_norm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = [64 * 2**stage * variant.block.expansion for stage in range(4)]
        layers = [
            _make_layer(
                variant,
                in_channels=64 if stage == 0 else channels[stage - 1],
                planes=64 * 2**stage,
                depth=depth,
                stride=1 if stage == 0 else 2,
                norm=make_norm,
                stride_in_1x1=stride_in_1x1,
            )
            for stage, depth in enumerate(variant.depths)
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.features = (
            FeatureInfo("c1", 64, 2),
            *(FeatureInfo(f"c{stage + 2}", channels[stage], 4 * 2**stage) for stage in range(4)),
        )
        init_he(self)
        if init == "zero_last":
            for block in self.modules():
                if isinstance(block, BasicBlock | Bottleneck):
                    nn.init.zeros_(block.last_norm.weight)  # type: ignore[arg-type]
        elif init != "he":
            raise InputError(f"init {init!r} is not known (known: he, zero_last)")

    def stages(self) -> tuple[tuple[nn.Module, ...], ...]:
        return (self.conv1, self.bn1), (self.layer1,), (self.layer2,), (self.layer3,), (self.layer4,)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        check_images(images, channels=3)
        c1 = self.relu(self.bn1(self.conv1(images)))
        c2 = self.layer1(self.maxpool(c1))
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        c5 = self.layer4(c4)
        return {"c1": c1, "c2": c2, "c3": c3, "c4": c4, "c5": c5}


def _make_layer(
    variant: Variant,
    *,
    in_channels: int,
    planes: int,
    depth: int,
    stride: int,
    norm: NormLayer,
    stride_in_1x1: bool,
) -> nn.Sequential:
    out_channels = planes * variant.block.expansion
    make_block: Callable[..., nn.Module]
    if variant.block is BasicBlock:
        make_block = partial(BasicBlock, width=planes, out_channels=out_channels, norm=norm)
    else:
        make_block = partial(
            Bottleneck,
            width=planes * variant.base_width // 64 * variant.groups,
            out_channels=out_channels,
            norm=norm,
            groups=variant.groups,
            stride_in_1x1=stride_in_1x1,
        )
    downsample = None
    if stride != 1 or in_channels != out_channels:
        conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        downsample = nn.Sequential(conv, norm(out_channels))
    first = make_block(in_channels, stride=stride, downsample=downsample)
    rest = [make_block(out_channels, stride=1, downsample=None) for _ in range(depth - 1)]
    return nn.Sequential(first, *rest)


for _name, _variant in VARIANTS.items():
    register_backbone(_name, partial(ResNet, _variant))
