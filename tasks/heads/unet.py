"""U-Net (Ronneberger et al. 2015) on any backbone, with deep supervision."""

from typing import TYPE_CHECKING, ClassVar

from tasks.config import Attention, HeadName, UNetSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(UNetSettings):
    """A decoder in the shape of a U, with a connection to every level."""

    class_layers: ClassVar = ("net.segmentation_head.", "net.aux_heads.")

    name: HeadName = "unet"
    attention: Attention = "none"
    """Of the decoder: scse weighs channels and places (Roy et al. 2018)."""
    center: bool = False
    """Two more convolutions on the backbone's coarsest level."""
    deep_supervision: bool = False
    """Train a head on every level of the decoder, with weights 1, 1/2, 1/4, ... that sum to 1."""

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from tasks.segmentation import UNet

        return UNet(
            backbone,
            num_classes,
            norm=norm,
            output_strides=self.output_strides,
            decoder_channels=self.decoder_channels,
            attention=self.attention,
            center=self.center,
            deep_supervision=self.deep_supervision,
        )
