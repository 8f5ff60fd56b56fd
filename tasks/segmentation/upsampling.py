"""A 3 x 3 convolution of an image that nearest-neighbour upsampling has doubled, at the size that it had before.

Where every pixel is there twice along each axis, three taps see two different ones: for each of the four places that a
pixel has become, the convolution is one of 2 x 2 with sums of the weights (Shi et al. 2016, "Is the deconvolution layer
the same as a convolutional layer?"). That is 4 of 9 multiplications, and neither the doubled image nor what is to be
joined to it is ever made.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbones import is_computed

# Of an image, however many there are: an image is what it is alone. Below, summing the weights takes longer than it
# saves; measured on a CPU, 8 images in bfloat16. Without a backward pass, which gains most, it takes four
# times as many.
_FEW_PIXELS = 64


def run_block(block: Any, x: Tensor, size: tuple[int, int], skip: Tensor | None) -> Tensor:
    """A decoder block of segmentation-models-pytorch's U-Net.

    Args:
        block: which upsamples x to the size, joins the skip connection to it, and convolves twice.
        x: (N, C, H, W).
        size: (height, width) of the output.
        skip: (N, D, *size), or None.
    """
    if not _doubles(block, x, size):
        output: Tensor = block(x, *size, skip_connection=skip)
        return output
    convolution, norm, activation = block.conv1
    output = block.conv2(activation(norm(doubled_conv(convolution, x, skip))))
    return block.attention2(output)


def _doubles(block: Any, x: Tensor, size: tuple[int, int]) -> bool:
    plain = (
        is_computed(x) and block.interpolation_mode == "nearest" and isinstance(block.attention1.attention, nn.Identity)
    )
    height, width = x.shape[2:]
    least = _FEW_PIXELS if torch.is_grad_enabled() else 4 * _FEW_PIXELS
    return plain and size == (2 * height, 2 * width) and height * width >= least


def doubled_conv(conv: nn.Conv2d, x: Tensor, skip: Tensor | None) -> Tensor:
    """`conv(cat([upsampled x, skip]))`, to rounding.

    Args:
        conv: 3 x 3 with a padding of 1.
        x: (N, C, H, W).
        skip: (N, D, 2 H, 2 W), or None; D may be 0, of a backbone without such a level.

    Returns:
        (N, out, 2 H, 2 W), in channels-last.
    """
    channels = x.shape[1]
    # Not two slices: the gradient of each would be as large as the whole weight.
    of_x, of_skip = conv.weight.split([channels, conv.weight.shape[1] - channels], 1)
    four = functional.conv2d(x, _summed(of_x), padding=1)
    doubled: Tensor = _Interleave.apply(four)
    if skip is not None and skip.shape[1]:
        return doubled.add_(functional.conv2d(skip, of_skip, conv.bias, padding=1))
    return doubled if conv.bias is None else doubled + conv.bias.to(doubled.dtype)[:, None, None]


def _summed(weight: Tensor) -> Tensor:
    """(out, in, 3, 3) -> (4 out, in, 2, 2): for the upper left, upper right, lower left and lower right pixel."""
    outputs, channels = weight.shape[:2]
    taps = _added(weight.device, weight.dtype) @ weight.permute(0, 2, 3, 1).reshape(outputs, 9, channels)
    places = taps.reshape(outputs, 4, 2, 2, channels).transpose(0, 1)
    return places.reshape(4 * outputs, 2, 2, channels).permute(0, 3, 1, 2)


# Three taps as two: a first pixel sees the one before it and itself twice, a second itself twice and the next.
_FIRST, _SECOND = ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@cache
def _added(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(16, 9): of each of four places, row by row, and each of its four taps, which of the nine taps are added. Copied
    to the device once: the host would wait for it at every step."""
    with torch.inference_mode(False):
        along_one = torch.tensor([_FIRST, _SECOND], dtype=dtype)
        return torch.einsum("rai,cbj->rcabij", along_one, along_one).reshape(16, 9).to(device)


class _Interleave(torch.autograd.Function):
    """(N, 4 C, H + 1, W + 1), each place's pixels from its own corner on -> (N, C, 2 H, 2 W)."""

    @staticmethod
    def forward(ctx: Any, four: Tensor) -> Tensor:
        images, channels, height, width = four.shape
        ctx.shape = four.shape
        out = _channels_last(four, (images, channels // 4, 2 * height - 2, 2 * width - 2))
        for pixels, place in _places(out, four):
            pixels.copy_(place)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        four = _channels_last(grads[0], ctx.shape).zero_()
        for pixels, place in _places(grads[0], four):
            place.copy_(pixels)
        return four


def _channels_last(like: Tensor, shape: Sequence[int]) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _places(doubled: Tensor, four: Tensor) -> list[tuple[Tensor, Tensor]]:
    height, width = four.shape[2] - 1, four.shape[3] - 1
    return [
        (doubled[:, :, row::2, column::2], part[:, :, row : row + height, column : column + width])
        for part, (row, column) in zip(four.chunk(4, 1), ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True)
    ]
