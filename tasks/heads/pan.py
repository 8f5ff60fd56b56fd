"""PAN (Li et al. 2018)."""

from typing import TYPE_CHECKING, ClassVar

from tasks.config import HeadName, SegmenterSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone

_WIDTH = 32  # as in segmentation-models-pytorch


class Head(SegmenterSettings):
    """Attention over a pyramid."""

    output_strides: ClassVar = (16, 32)

    name: HeadName = "pan"

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c2", "c3", "c4", "c5")

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from segmentation_models_pytorch.decoders.pan.decoder import PANDecoder

        from tasks.segmentation import Decoder, SmpNet, encoder_channels

        blocks = PANDecoder(encoder_channels(self.name, backbone, self.levels, self.output_strides), 5, _WIDTH)
        # Its attention halves the coarsest map three times.
        multiple = 8 * backbone.features[-1].stride
        decoder = Decoder(blocks, self.levels, width=_WIDTH, kernel_size=3, upsampling=4, multiple=multiple, pools=True)
        return SmpNet(self.name, backbone, num_classes, decoder, norm)
