"""Residual blocks, in torchvision's names."""

from torch import Tensor, nn

from backbones.layers import NormLayer


class BasicBlock(nn.Module):
    """Two 3x3 convolutions (He et al. 2016, Fig. 5 left)."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        *,
        stride: int,
        norm: NormLayer,
        downsample: nn.Module | None,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, out_channels, 3, padding=1, bias=False)
        self.bn2 = norm(out_channels)
        self.downsample = downsample

    @property
    def last_norm(self) -> nn.Module:
        return self.bn2

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(branch + identity)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions (He et al. 2016, Fig. 5 right), grouped for ResNeXt.

    The stride sits on the 3x3 (torchvision, "v1.5") or, with `stride_in_1x1`, on the first 1x1 as in
    the paper and the Caffe models.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        *,
        stride: int,
        norm: NormLayer,
        downsample: nn.Module | None,
        groups: int = 1,
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, first, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, groups=groups, bias=False)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    @property
    def last_norm(self) -> nn.Module:
        return self.bn3

    def forward(self, x: Tensor) -> Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        branch = self.relu(self.bn2(self.conv2(branch)))
        branch = self.bn3(self.conv3(branch))
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(branch + identity)
