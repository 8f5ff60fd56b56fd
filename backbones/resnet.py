"""ResNet, ResNeXt and Wide ResNet: one class and one table, with torchvision's keys and shapes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast, get_args

import torch
from torch import Tensor, nn

from backbones.blocks import BasicBlock, Bottleneck
from backbones.errors import InputError
from backbones.features import Backbone, FeatureInfo, check_images
from backbones.layers import Init, NormLayer, init_he, norm_layer
from backbones.registry import register_backbone
from backbones.weights import stem_statistics


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
        norm: batch | sync | group | instance | frozen.
        in_channels: of the pictures.
        output_stride: 32, or 16 or 8: the last stages are dilated instead of strided (Chen et al. 2017,
            "Rethinking atrous convolution", section 3.1), as torchvision's `replace_stride_with_dilation`.
        drop_path: chance of dropping the last block's branch in training, rising linearly from 0.
        stride_in_1x1: the stride on the bottleneck's first 1x1, not on its 3x3.
        init: "he"; "residual_scaled": also the last convolution of each residual branch is scaled by
            1/sqrt(2); or "zero_last": its last norm starts at zero instead, so that every block starts as
            the identity (Goyal et al. 2017, section 5.1).

    Raises:
        InputError: an option that this variant cannot have.
    """

    def __init__(
        self,
        variant: Variant,
        *,
        norm: str = "batch",
        in_channels: int = 3,
        output_stride: int = 32,
        drop_path: float = 0.0,
        stride_in_1x1: bool = False,
        init: Init = "he",
    ) -> None:
        super().__init__()
        _check_options(variant, norm, in_channels, output_stride, drop_path, stride_in_1x1, init)
        make_norm = norm_layer(norm)
        self.in_channels = in_channels
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = make_norm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        drops = iter(torch.linspace(0, drop_path, sum(variant.depths), device="cpu").tolist())
        layers, features = [], [FeatureInfo("c1", 64, 2)]
        stride, dilation = 4, 1
        for stage, depth in enumerate(variant.depths):
            first_stride, first_dilation = 1, dilation
            if stage > 0 and stride == output_stride:
                dilation *= 2
            elif stage > 0:
                first_stride = 2
                stride *= 2
            layers.append(
                _make_layer(
                    variant,
                    in_channels=features[-1].channels,
                    planes=64 * 2**stage,
                    first_stride=first_stride,
                    first_dilation=first_dilation,
                    dilation=dilation,
                    drops=[next(drops) for _ in range(depth)],
                    norm=make_norm,
                    stride_in_1x1=stride_in_1x1,
                )
            )
            channels = 64 * 2**stage * variant.block.expansion
            features.append(FeatureInfo(f"c{stage + 2}", channels, stride))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.features = tuple(features)
        self.mean, self.std = stem_statistics(self.mean, in_channels), stem_statistics(self.std, in_channels)
        _initialise(self, init)

    def stages(self) -> tuple[tuple[nn.Module, ...], ...]:
        return (self.conv1, self.bn1), (self.layer1,), (self.layer2,), (self.layer3,), (self.layer4,)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        check_images(images, self.in_channels)
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
    first_stride: int,
    first_dilation: int,
    dilation: int,
    drops: list[float],
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
    if first_stride != 1 or in_channels != out_channels:
        conv = nn.Conv2d(in_channels, out_channels, 1, first_stride, bias=False)
        downsample = nn.Sequential(conv, norm(out_channels))
    blocks = [
        make_block(in_channels, stride=first_stride, dilation=first_dilation, downsample=downsample, drop_path=drops[0])
    ]
    for drop in drops[1:]:
        blocks.append(make_block(out_channels, stride=1, dilation=dilation, downsample=None, drop_path=drop))
    return nn.Sequential(*blocks)


def _check_options(
    variant: Variant,
    norm: str,
    in_channels: int,
    output_stride: int,
    drop_path: float,
    stride_in_1x1: bool,
    init: str,
) -> None:
    if in_channels < 1:
        raise InputError(f"in_channels {in_channels}: pictures have at least one channel")
    if output_stride not in (8, 16, 32):
        raise InputError(f"output_stride {output_stride} is not possible (possible: 8, 16, 32)")
    if not 0 <= drop_path < 1:
        raise InputError(f"drop_path {drop_path} is no chance from 0 to below 1")
    if stride_in_1x1 and variant.block is not Bottleneck:
        raise InputError("stride_in_1x1 is for bottleneck blocks; basic blocks have no 1x1 to carry it")
    if init not in get_args(Init):
        raise InputError(f"init {init!r} is not known (known: {', '.join(get_args(Init))})")
    if init == "zero_last" and norm == "frozen":
        raise InputError("init 'zero_last' with norm 'frozen' would keep every residual branch at zero")


def _initialise(module: nn.Module, init: Init) -> None:
    init_he(module)
    for block in module.modules():
        if isinstance(block, BasicBlock | Bottleneck):
            conv, norm = block.branch_end
            if init == "residual_scaled":
                with torch.no_grad():
                    conv.weight.mul_(2**-0.5)
            elif init == "zero_last":
                nn.init.zeros_(cast(Tensor, norm.weight))


for _name, _variant in VARIANTS.items():
    register_backbone(_name, partial(ResNet, _variant))
