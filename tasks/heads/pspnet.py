"""PSPNet (Zhao et al. 2017)."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tasks.config import HeadName, SegmenterSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone

_WIDTH = 512  # as in segmentation-models-pytorch


class Head(SegmenterSettings):
    """Pooling at several scales over a dilated backbone."""

    output_strides: ClassVar = (8, 16)

    name: HeadName = "pspnet"
    dropout: float = Field(0.2, ge=0, lt=1)
    """Of the decoder's features, in training."""

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c5",)

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from segmentation_models_pytorch.decoders.pspnet.decoder import PSPDecoder

        from tasks.segmentation import Decoder, SmpNet, encoder_channels

        stride = backbone.features[-1].stride
        blocks = PSPDecoder(
            encoder_channels(self.name, backbone, self.levels, self.output_strides),
            out_channels=_WIDTH,
            dropout=self.dropout,
        )
        decoder = Decoder(blocks, self.levels, width=_WIDTH, kernel_size=3, upsampling=stride, multiple=stride)
        return SmpNet(self.name, backbone, num_classes, decoder, norm)
