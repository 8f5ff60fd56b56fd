"""DeepLabv3+ (Chen et al. 2018)."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tasks.config import HeadName, SegmenterSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone

_ATROUS_RATES = (12, 24, 36)


class Head(SegmenterSettings):
    """DeepLabv3 with a finer level."""

    output_strides: ClassVar = (16, 8)

    name: HeadName = "deeplabv3plus"
    channels: int = Field(256, ge=1)
    """Width of the decoder."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Of the decoder's features, in training."""

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c2", "c5")

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3PlusDecoder

        from tasks.segmentation import Decoder, SmpNet, encoder_channels

        stride = backbone.features[-1].stride
        channels = encoder_channels(self.name, backbone, self.levels, self.output_strides)
        blocks = DeepLabV3PlusDecoder(
            channels, 5, self.channels, _ATROUS_RATES, stride, aspp_separable=True, aspp_dropout=self.dropout
        )
        decoder = Decoder(
            blocks, self.levels, width=self.channels, kernel_size=1, upsampling=4, multiple=stride, pools=True
        )
        return SmpNet(self.name, backbone, num_classes, decoder, norm)
