"""MAnet (Fan et al. 2020)."""

from typing import TYPE_CHECKING

from tasks.config import HeadName, UNetSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(UNetSettings):
    """A decoder in the shape of a U with attention over scales."""

    name: HeadName = "manet"

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from segmentation_models_pytorch.decoders.manet.decoder import MAnetDecoder

        from tasks.segmentation import Decoder, SmpNet, encoder_channels

        widths = self.decoder_channels
        depth = len(widths)
        channels = encoder_channels(self.name, backbone, self.levels, self.output_strides)
        blocks = MAnetDecoder(channels, widths, n_blocks=depth)
        decoder = Decoder(blocks, self.levels, width=widths[-1], kernel_size=3, multiple=2**depth)
        return SmpNet(self.name, backbone, num_classes, decoder, norm)
