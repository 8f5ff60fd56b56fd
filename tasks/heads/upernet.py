"""UPerNet (Xiao et al. 2018)."""

from typing import TYPE_CHECKING

from pydantic import Field

from tasks.config import HeadName, SegmenterSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(SegmenterSettings):
    """A pyramid with pooling on its coarsest level."""

    name: HeadName = "upernet"
    channels: int = Field(256, ge=1)
    """Width of the decoder."""

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c2", "c3", "c4", "c5")

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder

        from tasks.segmentation import Decoder, SmpNet, encoder_channels

        blocks = UPerNetDecoder(
            encoder_channels(self.name, backbone, self.levels, self.output_strides), 5, self.channels
        )
        multiple = backbone.features[-1].stride
        decoder = Decoder(
            blocks, self.levels, width=self.channels, kernel_size=1, upsampling=4, multiple=multiple, pools=True
        )
        return SmpNet(self.name, backbone, num_classes, decoder, norm)
