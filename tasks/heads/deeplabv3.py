"""DeepLabv3 (Chen et al. 2017)."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tasks.config import HeadName, SegmenterSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone

_ATROUS_RATES = (12, 24, 36)


class Head(SegmenterSettings):
    """Atrous convolutions at several rates."""

    output_strides: ClassVar = (8, 16)

    name: HeadName = "deeplabv3"
    channels: int = Field(256, ge=1)
    """Width of the decoder."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Of the decoder's features, in training."""

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c5",)

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3Decoder

        from tasks.segmentation import Decoder, SmpNet, encoder_channels

        stride = backbone.features[-1].stride
        channels = encoder_channels(self.name, backbone, self.levels, self.output_strides)
        blocks = DeepLabV3Decoder(
            channels[-1], self.channels, _ATROUS_RATES, aspp_separable=False, aspp_dropout=self.dropout
        )
        decoder = Decoder(
            blocks, self.levels, width=self.channels, kernel_size=1, upsampling=stride, multiple=stride, pools=True
        )
        return SmpNet(self.name, backbone, num_classes, decoder, norm)
