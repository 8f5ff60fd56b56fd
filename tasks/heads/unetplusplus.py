"""U-Net++ (Zhou et al. 2018)."""

from typing import TYPE_CHECKING

from tasks.config import Attention, HeadName, UNetSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(UNetSettings):
    """U-Nets of every depth, nested."""

    name: HeadName = "unetplusplus"
    attention: Attention = "none"
    """Of the decoder: scse weighs channels and places (Roy et al. 2018)."""

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder

        from tasks.segmentation import Decoder, SmpNet, encoder_channels

        widths = self.decoder_channels
        depth = len(widths)
        attention = None if self.attention == "none" else self.attention
        channels = encoder_channels(self.name, backbone, self.levels, self.output_strides)
        blocks = UnetPlusPlusDecoder(channels, widths, n_blocks=depth, attention_type=attention)
        decoder = Decoder(blocks, self.levels, width=widths[-1], kernel_size=3, multiple=2**depth)
        return SmpNet(self.name, backbone, num_classes, decoder, norm)
