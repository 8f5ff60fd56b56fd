"""The panoptic FPN's semantic branch (Kirillov et al. 2019)."""

from typing import TYPE_CHECKING

from pydantic import Field

from tasks.config import HeadName, SegmenterSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(SegmenterSettings):
    """A feature pyramid whose levels are summed."""

    name: HeadName = "fpn"
    channels: int = Field(256, ge=1)
    """Width of every pyramid level."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Of the decoder's features, in training."""

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c2", "c3", "c4", "c5")

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder

        from tasks.segmentation import Decoder, SmpNet, encoder_channels

        channels = encoder_channels(self.name, backbone, self.levels, self.output_strides)
        blocks = FPNDecoder(channels, pyramid_channels=self.channels, dropout=self.dropout)
        decoder = Decoder(
            blocks,
            self.levels,
            width=blocks.out_channels,
            kernel_size=1,
            upsampling=4,
            multiple=backbone.features[-1].stride,
        )
        return SmpNet(self.name, backbone, num_classes, decoder, norm)
