"""Modulated deformable convolution (DCNv2) that starts as the convolution it stands for."""

import torch
from torch import Tensor, nn
from torchvision.ops import DeformConv2d, deform_conv2d

torch.fx.wrap("deform_conv2d")  # a step of its own where the network is traced: it counts its offsets


class ModulatedDeformConv2d(DeformConv2d):
    """A 3x3 convolution that learns where to look and how much each place weighs (Zhu et al. 2019,
    "Deformable ConvNets v2", section 3.2).

    `weight` is that of the plain convolution. The offsets start at zero and the modulation, twice a sigmoid,
    at one: the first output is the plain convolution's. (N, C, H, W) -> (N, out_channels, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, dilation: int, groups: int) -> None:
        super().__init__(in_channels, out_channels, 3, stride, dilation, dilation, groups, bias=False)
        taps = self.kernel_size[0] * self.kernel_size[1]
        self._split = [2 * taps, taps]
        self.conv_offset = nn.Conv2d(in_channels, 3 * taps, 3, stride, dilation, dilation)
        self.start_undeformed()

    def start_undeformed(self) -> None:
        nn.init.zeros_(self.conv_offset.weight)
        nn.init.zeros_(self.conv_offset.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        offset, modulation = self.conv_offset(x).split(self._split, dim=1)
        # torchvision's operator knows no bfloat16 on a CPU, and offsets of a fraction of a pixel need more digits.
        modulation = 2 * modulation.float().sigmoid()
        bias = None if self.bias is None else self.bias.float()  # a norm's, once it is folded in
        return deform_conv2d(
            x.float(), offset.float(), self.weight.float(), bias, self.stride, self.padding, self.dilation, modulation
        ).to(offset.dtype)
