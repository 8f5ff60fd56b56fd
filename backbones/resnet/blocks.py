"""Residual blocks, in torchvision's and timm's names."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from backbones.layers import NormLayer
from backbones.resnet.attention import ResidualGate, make_attention
from backbones.resnet.deformable import ModulatedDeformConv2d
from backbones.resnet.shortcuts import Shortcut, make_shortcut


@dataclass(frozen=True)
class BlockSpec:
    """What a block is built from.

    Attributes:
        in_channels, out_channels: of the block; `width`: of the convolutions inside it.
        stride, first_dilation: of its first 3x3; `dilation`: of the others in its stage. They differ where a
            stage is dilated instead of strided.
        groups: of the bottleneck's 3x3 (ResNeXt).
        deformable: the bottleneck's 3x3 is a modulated deformable one.
        attention: None | "se" | "eca" | "cbam", at the branch's end.
        gated: the branch is weighed by a scalar per sample.
        drop_path: chance of dropping the branch in training (Huang et al. 2016, "Deep networks with
            stochastic depth").
    """

    in_channels: int
    width: int
    out_channels: int
    stride: int
    first_dilation: int
    dilation: int
    norm: NormLayer
    groups: int = 1
    stride_in_1x1: bool = False
    deformable: bool = False
    shortcut: Shortcut = "project"
    attention: str | None = None
    gated: bool = False
    drop_path: float = 0.0


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + branch(x)); or, pre-activated, shortcut(y) + branch(y) with y = relu(bn1(x)) and x itself
    where the shortcut is the identity (He et al. 2016, "Identity mappings in deep residual networks", Fig. 4e).

    A subclass makes its layers and ends its constructor with `_finish`: the order is that of the keys in
    torchvision's state dicts.
    """

    expansion: ClassVar[int]
    preactivated: ClassVar[bool] = False
    bn1: nn.Module

    def _finish(self, spec: BlockSpec) -> None:
        norm = None if self.preactivated else spec.norm
        self.relu = nn.ReLU(inplace=True)
        self.se = make_attention(spec.attention, spec.out_channels, spec.norm) if spec.attention else None
        self.gate = ResidualGate(spec.in_channels) if spec.gated else None
        self.drop_path = StochasticDepth(spec.drop_path, mode="row") if spec.drop_path else None
        self.downsample = make_shortcut(
            spec.shortcut, spec.in_channels, spec.out_channels, spec.stride, spec.dilation, norm
        )
        self._plain = spec.shortcut == "none"

    @property
    def branch_end(self) -> tuple[nn.Module, nn.Module | None]:
        """The branch's last convolution, and the norm behind it (None in a pre-activated block)."""
        raise NotImplementedError

    def branch(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        entry = self.relu(self.bn1(x)) if self.preactivated else x
        branch = self.branch(entry)
        if self.se is not None:
            branch = self.se(branch)
        if self.gate is not None:
            branch = self.gate(x) * branch
        if self.drop_path is not None:
            branch = self.drop_path(branch)
        if not self._plain:
            branch = branch + (x if self.downsample is None else self.downsample(entry))
        return branch if self.preactivated else self.relu(branch)


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions (He et al. 2016, "Deep residual learning for image recognition", Fig. 5 left)."""

    expansion = 1

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        self.conv1 = _conv3x3(spec.in_channels, spec.width, spec.stride, spec.first_dilation)
        self.bn1 = spec.norm(spec.width)
        self.conv2 = _conv3x3(spec.width, spec.out_channels, 1, spec.dilation)
        self.bn2 = spec.norm(spec.out_channels)
        self._finish(spec)

    @property
    def branch_end(self) -> tuple[nn.Module, nn.Module | None]:
        return self.conv2, self.bn2

    def branch(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(ResidualBlock):
    """1x1, 3x3, 1x1 convolutions (the same, Fig. 5 right), grouped for ResNeXt.

    The stride sits on the 3x3 (torchvision, "v1.5") or, with `stride_in_1x1`, on the first 1x1 as in
    the paper and the Caffe models.
    """

    expansion = 4

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        first, second = (spec.stride, 1) if spec.stride_in_1x1 else (1, spec.stride)
        self.conv1 = nn.Conv2d(spec.in_channels, spec.width, 1, first, bias=False)
        self.bn1 = spec.norm(spec.width)
        self.conv2 = _middle(spec, second)
        self.bn2 = spec.norm(spec.width)
        self.conv3 = nn.Conv2d(spec.width, spec.out_channels, 1, bias=False)
        self.bn3 = spec.norm(spec.out_channels)
        self._finish(spec)

    @property
    def branch_end(self) -> tuple[nn.Module, nn.Module | None]:
        return self.conv3, self.bn3

    def branch(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


class PreActBasicBlock(ResidualBlock):
    """Norm and ReLU before each of two 3x3 convolutions."""

    expansion = 1
    preactivated = True

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        self.bn1 = spec.norm(spec.in_channels)
        self.conv1 = _conv3x3(spec.in_channels, spec.width, spec.stride, spec.first_dilation)
        self.bn2 = spec.norm(spec.width)
        self.conv2 = _conv3x3(spec.width, spec.out_channels, 1, spec.dilation)
        self._finish(spec)

    @property
    def branch_end(self) -> tuple[nn.Module, nn.Module | None]:
        return self.conv2, None

    def branch(self, x: Tensor) -> Tensor:
        return self.conv2(self.relu(self.bn2(self.conv1(x))))


class PreActBottleneck(ResidualBlock):
    """Norm and ReLU before each of the 1x1, 3x3, 1x1 convolutions."""

    expansion = 4
    preactivated = True

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        first, second = (spec.stride, 1) if spec.stride_in_1x1 else (1, spec.stride)
        self.bn1 = spec.norm(spec.in_channels)
        self.conv1 = nn.Conv2d(spec.in_channels, spec.width, 1, first, bias=False)
        self.bn2 = spec.norm(spec.width)
        self.conv2 = _middle(spec, second)
        self.bn3 = spec.norm(spec.width)
        self.conv3 = nn.Conv2d(spec.width, spec.out_channels, 1, bias=False)
        self._finish(spec)

    @property
    def branch_end(self) -> tuple[nn.Module, nn.Module | None]:
        return self.conv3, None

    def branch(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn2(self.conv1(x)))
        x = self.relu(self.bn3(self.conv2(x)))
        return self.conv3(x)


class Res2Bottleneck(ResidualBlock):
    """A bottleneck whose 3x3 works on four slices in turn, each but a stage's first block adding the slice
    before (Gao et al. 2021, "Res2Net", section 3.1). `width` is a slice's; names and details are timm's."""

    expansion = 4
    scales: ClassVar[int] = 4

    def __init__(self, spec: BlockSpec) -> None:
        super().__init__()
        self._width = spec.width
        self._hierarchical = spec.stride == 1 and spec.in_channels == spec.out_channels
        slices = range(self.scales - 1)
        self.conv1 = nn.Conv2d(spec.in_channels, spec.width * self.scales, 1, bias=False)
        self.bn1 = spec.norm(spec.width * self.scales)
        self.convs = nn.ModuleList(_conv3x3(spec.width, spec.width, spec.stride, spec.first_dilation) for _ in slices)
        self.bns = nn.ModuleList(spec.norm(spec.width) for _ in slices)
        self.pool = nn.Identity() if self._hierarchical else nn.AvgPool2d(3, spec.stride, padding=1)
        self.conv3 = nn.Conv2d(spec.width * self.scales, spec.out_channels, 1, bias=False)
        self.bn3 = spec.norm(spec.out_channels)
        self._finish(spec)

    @property
    def branch_end(self) -> tuple[nn.Module, nn.Module | None]:
        return self.conv3, self.bn3

    def branch(self, x: Tensor) -> Tensor:
        slices = self.relu(self.bn1(self.conv1(x))).split(self._width, dim=1)
        outputs: list[Tensor] = []
        for number, (conv, bn) in enumerate(zip(self.convs, self.bns, strict=True)):
            part = slices[number]  # by position: what is traced cannot be looped over
            if self._hierarchical and outputs:
                part = part + outputs[-1]
            outputs.append(self.relu(bn(conv(part))))
        return self.bn3(self.conv3(torch.cat([*outputs, self.pool(slices[len(self.convs)])], dim=1)))


def _conv3x3(in_channels: int, out_channels: int, stride: int, dilation: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, dilation, dilation, groups, bias=False)


def _middle(spec: BlockSpec, stride: int) -> nn.Module:
    if spec.deformable:
        return ModulatedDeformConv2d(spec.width, spec.width, stride, spec.first_dilation, spec.groups)
    return _conv3x3(spec.width, spec.width, stride, spec.first_dilation, spec.groups)
