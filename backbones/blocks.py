"""Residual blocks, in torchvision's names."""

from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from backbones.layers import NormLayer


class _Residual(nn.Module):
    """relu(shortcut(x) + branch(x)), the branch dropped at random in training where `drop_path` says so
    (Huang et al. 2016, "Deep networks with stochastic depth")."""

    downsample: nn.Module | None  # set last by the blocks: torchvision's order of the keys

    def __init__(self, drop_path: float) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.drop_path = StochasticDepth(drop_path, mode="row") if drop_path else None

    def branch(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        branch = self.branch(x)
        if self.drop_path is not None:
            branch = self.drop_path(branch)
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(branch + identity)


class BasicBlock(_Residual):
    """Two 3x3 convolutions (He et al. 2016, Fig. 5 left)."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        *,
        stride: int,
        dilation: int,
        norm: NormLayer,
        downsample: nn.Module | None,
        drop_path: float,
    ) -> None:
        super().__init__(drop_path)
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, out_channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = norm(out_channels)
        self.downsample = downsample

    @property
    def branch_end(self) -> tuple[nn.Conv2d, nn.Module]:
        """The branch's last convolution and norm."""
        return self.conv2, self.bn2

    def branch(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(_Residual):
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
        dilation: int,
        norm: NormLayer,
        downsample: nn.Module | None,
        drop_path: float,
        groups: int = 1,
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__(drop_path)
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, first, bias=False)
        self.bn1 = norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=dilation, dilation=dilation, groups=groups, bias=False)
        self.bn2 = norm(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = norm(out_channels)
        self.downsample = downsample

    @property
    def branch_end(self) -> tuple[nn.Conv2d, nn.Module]:
        """The branch's last convolution and norm."""
        return self.conv3, self.bn3

    def branch(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))
