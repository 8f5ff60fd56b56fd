"""The other decoders of segmentation-models-pytorch on any backbone, with images of any size."""

from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.base.initialization import initialize_head
from torch import Tensor, nn
from torch.nn import functional

from backbones import Backbone, InputError
from tasks.segmentation.checks import LEVELS
from tasks.segmentation.norms import prepare_decoder


@dataclass(frozen=True)
class Decoder:
    """A decoder of segmentation-models-pytorch, and what it needs around it.

    Attributes:
        blocks: the decoder itself: [images, c1, c2, ...] -> (N, width, h, w).
        levels: that it takes of those.
        width: channels that it gives.
        kernel_size: of the convolution that makes the logits.
        upsampling: by which the logits are enlarged to the images' size.
        multiple: of which the sides of the images have to be.
        pools: whether it pools to a single pixel, through a norm.
    """

    blocks: nn.Module
    levels: Sequence[str]
    width: int
    kernel_size: int
    multiple: int
    upsampling: int = 1
    pools: bool = False


class SmpNet(nn.Module):
    """A decoder of segmentation-models-pytorch with that library's keys and shapes below `decoder` and
    `segmentation_head`, on a backbone of ours. Images are padded to what the decoder needs; logits are cropped.

    Args:
        head: what messages call it.
        backbone: that the decoder was made for.
        num_classes: logits a pixel.
        decoder: with norms of batch, which become the norm that is wanted.
        norm: of the decoder (fpn has group norms of its own); the backbone was made with the same.

    Raises:
        InputError: the decoder cannot have the norm.
    """

    def __init__(self, head: str, backbone: Backbone, num_classes: int, decoder: Decoder, norm: str = "batch") -> None:
        super().__init__()
        if norm == "instance" and decoder.pools:
            raise InputError(
                f"norm 'instance': {head} pools to a map of 1 x 1, where there is nothing to normalise; "
                "take norm 'group' or 'batch', or head unet"
            )
        self.backbone = backbone
        self.decoder = decoder.blocks
        self.segmentation_head = SegmentationHead(
            decoder.width, num_classes, kernel_size=decoder.kernel_size, upsampling=decoder.upsampling
        )
        self._multiple = decoder.multiple
        self._levels = decoder.levels
        prepare_decoder(self.decoder, norm)
        initialize_head(self.segmentation_head)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised floats (N, C, H, W), H and W of any size -> [logits (N, num_classes, H, W)]."""
        height, width = images.shape[2:]
        padding = (0, -width % self._multiple, 0, -height % self._multiple)
        padded = functional.pad(images, padding) if any(padding) else images
        features = self.backbone(padded)
        # What is not in use has no channels, but its size.
        levels = [padded]
        for number, name in enumerate(LEVELS[: LEVELS.index(self._levels[-1]) + 1], start=1):
            taken = name in self._levels and name in features
            levels.append(features[name] if taken else padded[:, :0, :: 2**number, :: 2**number])
        logits = self.segmentation_head(self.decoder(levels))
        return [logits[..., :height, :width]]
