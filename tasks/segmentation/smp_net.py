"""The other decoders of segmentation-models-pytorch on any backbone, with pictures of any size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.base.initialization import initialize_head
from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3Decoder, DeepLabV3PlusDecoder
from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from segmentation_models_pytorch.decoders.linknet.decoder import LinknetDecoder
from segmentation_models_pytorch.decoders.manet.decoder import MAnetDecoder
from segmentation_models_pytorch.decoders.pan.decoder import PANDecoder
from segmentation_models_pytorch.decoders.pspnet.decoder import PSPDecoder
from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder
from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder
from torch import Tensor, nn
from torch.nn import functional

from backbones import Backbone, InputError
from tasks.config import HeadSettings
from tasks.segmentation.checks import check_backbone_for, check_map
from tasks.segmentation.norms import prepare_decoder

_LEVELS = ("c1", "c2", "c3", "c4", "c5")
_ATROUS_RATES = (12, 24, 36)
_POOLING = ("pan", "deeplabv3", "deeplabv3plus", "upernet")  # to a single pixel, through a norm
_LINKNET_WIDTH, _PAN_WIDTH, _PSP_WIDTH = 32, 32, 512  # what segmentation-models-pytorch's models have


@dataclass(frozen=True)
class _Parts:
    """A decoder, how wide it ends, how its logits are made, what sides of pictures it takes multiples of, and how
    many levels."""

    decoder: nn.Module
    width: int
    kernel_size: int
    upsampling: int
    multiple: int
    depth: int = 5


class SmpNet(nn.Module):
    """A decoder of segmentation-models-pytorch by name, with that library's keys and shapes below `decoder` and
    `segmentation_head`, on a backbone of ours. Pictures are padded to what the decoder needs; logits are cropped.

    Args:
        backbone: with its weights and frozen stages, its output stride one of `OUTPUT_STRIDES[head.name]`.
        num_classes: logits a pixel.
        head: its name, and decoder_channels, attention or channels where the decoder has them.
        norm: of the decoder (fpn has group norms of its own); the backbone was made with the same.

    Raises:
        InputError: the backbone lacks a level, is for small pictures or has another output stride; or the decoder
            cannot have the norm.
    """

    def __init__(self, backbone: Backbone, num_classes: int, head: HeadSettings, norm: str = "batch") -> None:
        super().__init__()
        check_backbone_for(head.name, backbone, _LEVELS[1:])
        if norm == "instance" and head.name in _POOLING:
            raise InputError(
                f"norm 'instance': {head.name} pools to a map of 1 x 1, where there is nothing to normalise; "
                "take norm 'group' or 'batch', or head unet"
            )
        have = {info.name: info.channels for info in backbone.features}
        channels = [len(backbone.mean), *(have.get(level, 0) for level in _LEVELS)]
        parts = _DECODERS[head.name](channels, head, backbone.features[-1].stride)
        self.backbone = backbone
        self.norm = norm
        self.decoder = parts.decoder
        self.segmentation_head = SegmentationHead(
            parts.width, num_classes, kernel_size=parts.kernel_size, upsampling=parts.upsampling
        )
        self._multiple = parts.multiple
        self._levels = _LEVELS[: parts.depth]
        prepare_decoder(self.decoder, norm)
        initialize_head(self.segmentation_head)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised floats (N, C, H, W), H and W of any size -> [logits (N, num_classes, H, W)]."""
        height, width = images.shape[2:]
        padding = (0, -width % self._multiple, 0, -height % self._multiple)
        padded = functional.pad(images, padding) if any(padding) else images
        check_map(padded, self.backbone.features[-1].stride, self.norm, self.training)
        features = self.backbone(padded)
        # A backbone without stride 2 has no channels to skip with there, but its size.
        levels = [padded, *(features.get(name, padded[:, :0, ::2, ::2]) for name in self._levels)]
        logits = self.segmentation_head(self.decoder(levels))
        return [logits[..., :height, :width]]


def _attention(head: HeadSettings) -> str | None:
    return None if head.attention == "none" else head.attention


def _unetplusplus(channels: Sequence[int], head: HeadSettings, _stride: int) -> _Parts:
    widths = head.decoder_channels
    depth = len(widths)
    decoder = UnetPlusPlusDecoder(channels[: depth + 1], widths, n_blocks=depth, attention_type=_attention(head))
    return _Parts(decoder, widths[-1], 3, 1, 2**depth, depth)


def _manet(channels: Sequence[int], head: HeadSettings, _stride: int) -> _Parts:
    widths = head.decoder_channels
    depth = len(widths)
    return _Parts(MAnetDecoder(channels[: depth + 1], widths, n_blocks=depth), widths[-1], 3, 1, 2**depth, depth)


def _linknet(channels: Sequence[int], _head: HeadSettings, stride: int) -> _Parts:
    return _Parts(LinknetDecoder(list(channels), _LINKNET_WIDTH), _LINKNET_WIDTH, 1, 1, stride)


def _fpn(channels: Sequence[int], head: HeadSettings, stride: int) -> _Parts:
    decoder = FPNDecoder(channels, pyramid_channels=head.channels)
    return _Parts(decoder, decoder.out_channels, 1, 4, stride)


def _pspnet(channels: Sequence[int], _head: HeadSettings, stride: int) -> _Parts:
    return _Parts(PSPDecoder(channels, out_channels=_PSP_WIDTH), _PSP_WIDTH, 3, stride, stride)


def _pan(channels: Sequence[int], _head: HeadSettings, stride: int) -> _Parts:
    # Its attention halves the coarsest map three times.
    return _Parts(PANDecoder(channels, 5, _PAN_WIDTH), _PAN_WIDTH, 3, 4, 8 * stride)


def _deeplabv3(channels: Sequence[int], head: HeadSettings, stride: int) -> _Parts:
    decoder = DeepLabV3Decoder(channels[-1], head.channels, _ATROUS_RATES, aspp_separable=False, aspp_dropout=0.5)
    return _Parts(decoder, head.channels, 1, stride, stride)


def _deeplabv3plus(channels: Sequence[int], head: HeadSettings, stride: int) -> _Parts:
    decoder = DeepLabV3PlusDecoder(
        channels, 5, head.channels, _ATROUS_RATES, stride, aspp_separable=True, aspp_dropout=0.5
    )
    return _Parts(decoder, head.channels, 1, 4, stride)


def _upernet(channels: Sequence[int], head: HeadSettings, stride: int) -> _Parts:
    return _Parts(UPerNetDecoder(channels, 5, head.channels), head.channels, 1, 4, stride)


_DECODERS: dict[str, Callable[[Sequence[int], HeadSettings, int], _Parts]] = {
    "unetplusplus": _unetplusplus,
    "manet": _manet,
    "linknet": _linknet,
    "fpn": _fpn,
    "pspnet": _pspnet,
    "pan": _pan,
    "deeplabv3": _deeplabv3,
    "deeplabv3plus": _deeplabv3plus,
    "upernet": _upernet,
}
