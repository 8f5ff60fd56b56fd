"""What a residual block adds its branch to, where that is not its input as it stands."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from backbones.layers import NormLayer

Shortcut = Literal["project", "average", "pad", "none"]


class PadShortcut(nn.Module):
    """Every second pixel, and zeros for the channels that are new: no parameters (He et al. 2016, section 4.2,
    option A)."""

    def __init__(self, stride: int, new_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = new_channels

    def forward(self, x: Tensor) -> Tensor:
        before = self.new_channels // 2
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.new_channels - before))


def make_shortcut(
    kind: Shortcut, in_channels: int, out_channels: int, stride: int, dilation: int, norm: NormLayer | None
) -> nn.Module | None:
    """The module on the shortcut, or None where the input can be added as it is.

    Args:
        kind: "project": a strided 1x1 convolution (option B); "average": pooled first, so that no pixel is
            skipped (He et al. 2019, "Bag of tricks", Fig. 2c, ResNet-D); "pad": option A; "none": there is none.
        stride, dilation: of the block's first 3x3 convolution and of the others of its stage.
        norm: after the projection; None in a pre-activated block.
    """
    if kind == "none" or (stride == 1 and in_channels == out_channels):
        return None
    if kind == "pad":
        return PadShortcut(stride, out_channels - in_channels)
    layers: list[nn.Module] = []
    if kind == "average":
        layers.append(_average(stride, dilation))
        stride = 1
    layers.append(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False))
    if norm is not None:
        layers.append(norm(out_channels))
    return nn.Sequential(*layers)


def _average(stride: int, dilation: int) -> nn.Module:
    if stride > 1:
        return nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False)
    if dilation == 1:
        return nn.Identity()
    from timm.layers import AvgPool2dSame  # late, as in attention.py

    # Dilated instead of strided: the same averages, at every pixel.
    return AvgPool2dSame(2, 1, ceil_mode=True, count_include_pad=False)
