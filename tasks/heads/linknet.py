"""LinkNet (Chaurasia and Culurciello 2017)."""

from typing import TYPE_CHECKING

from tasks.config import HeadName, SegmenterSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone

_WIDTH = 32  # as in segmentation-models-pytorch


class Head(SegmenterSettings):
    """A light decoder that adds its skip connections."""

    name: HeadName = "linknet"

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c1", "c2", "c3", "c4", "c5")

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from segmentation_models_pytorch.decoders.linknet.decoder import LinknetDecoder

        from tasks.segmentation import Decoder, SmpNet, encoder_channels

        blocks = LinknetDecoder(encoder_channels(self.name, backbone, self.levels, self.output_strides), _WIDTH)
        decoder = Decoder(blocks, self.levels, width=_WIDTH, kernel_size=1, multiple=backbone.features[-1].stride)
        return SmpNet(self.name, backbone, num_classes, decoder, norm)
