"""U-Net on any backbone, from segmentation-models-pytorch's blocks, with every level kept."""

from collections.abc import Sequence

import torch
from segmentation_models_pytorch.base.initialization import initialize_head
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from backbones import Backbone
from tasks.segmentation.checks import LEVELS, encoder_channels
from tasks.segmentation.norms import prepare_decoder
from tasks.segmentation.upsampling import run_block


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with an encoder of any backbone that hands out c2..c4 or more.

    Its decoder and its last layer have the names and shapes of `segmentation_models_pytorch.Unet`. A 1x1 head on
    each coarser level of the decoder is always there, so that a checkpoint loads with deep supervision on or off; it
    trains only where that is on.

    Args:
        backbone: that the decoder is on.
        num_classes: logits a pixel.
        norm: of the decoder; the backbone was made with the same.
        output_strides: of the backbone, that are taken.
        decoder_channels: widths, coarsest first; how many there are is the depth.
        attention: "none" or "scse".
        center: two more convolutions on the coarsest level.
        deep_supervision: train the auxiliary heads.

    Raises:
        InputError: the backbone lacks a level, is dilated, or is for small images.
    """

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        norm: str = "batch",
        output_strides: Sequence[int] = (32,),
        decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
        attention: str = "none",
        center: bool = False,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        widths = tuple(decoder_channels)
        self._levels = LEVELS[: len(widths)]
        self.backbone = backbone
        self.deep_supervision = deep_supervision
        self.decoder = UnetDecoder(
            encoder_channels("unet", backbone, self._levels, output_strides),
            widths,
            n_blocks=len(widths),
            attention_type=None if attention == "none" else attention,
            add_center_block=center,
        )
        prepare_decoder(self.decoder, norm)
        self.segmentation_head = nn.Sequential(nn.Conv2d(widths[-1], num_classes, 3, padding=1))
        self.aux_heads = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for width in widths[:-1])
        initialize_head(self.segmentation_head)
        initialize_head(self.aux_heads)
        # Several processes refuse parameters that the loss does not use.
        self.aux_heads.requires_grad_(deep_supervision)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised floats (N, C, H, W), H and W of any size -> logits, finest first.

        Returns:
            (N, num_classes, H, W); in training with deep supervision also those of each coarser level of the
            decoder, (N, num_classes, H / 2, W / 2), ...
        """
        height, width = images.shape[2:]
        features = self.backbone(images)
        # A backbone without stride 2 has no channels to skip with there, but its size.
        empty = images.new_zeros(images.shape[0], 0, -(-height // 2), -(-width // 2))
        levels = [features.get(name, empty) for name in self._levels]
        sizes = [(height, width), *(tuple(level.shape[2:]) for level in levels)]
        *skips, deepest = levels
        x = self.decoder.center(deepest)
        outputs: list[Tensor] = []
        for number, block in enumerate(self.decoder.blocks):
            skip = skips[-1 - number] if number < len(skips) else None
            x = run_block(block, x, sizes[-2 - number], skip)
            outputs.append(x)
        logits = [self.segmentation_head(outputs[-1])]
        if self.training and self.deep_supervision:
            logits += [head(output) for head, output in zip(self.aux_heads, outputs[:-1], strict=True)][::-1]
        return logits


def downsized(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Labels (N, H, W) at a coarser level's size, without inventing classes: the nearest pixel's."""
    return torch.nn.functional.interpolate(mask[:, None].float(), size, mode="nearest-exact")[:, 0].to(mask.dtype)
