"""U-Net on any backbone, from segmentation-models-pytorch's blocks, with every level kept."""

import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from backbones import Backbone, InputError
from backbones.features import check_for_pyramids
from backbones.layers import norm_layer
from tasks.config import HeadSettings

_GROUPS = 8  # divides every width that decoders usually have


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with an encoder of any backbone that hands out c2..c4 or more.

    Its decoder and its last layer have the names and shapes of `segmentation_models_pytorch.Unet`. A 1x1 head on
    each coarser level of the decoder is always there, so that a checkpoint loads with deep supervision on or off; it
    trains only where that is on.

    Args:
        backbone: with its weights and frozen stages.
        num_classes: logits a pixel.
        head: decoder_channels (their number is the depth), attention, center, deep_supervision.
        norm: of the decoder; the backbone was made with the same.

    Raises:
        InputError: the backbone lacks a level, or is for small pictures.
    """

    def __init__(self, backbone: Backbone, num_classes: int, head: HeadSettings, norm: str = "batch") -> None:
        super().__init__()
        check_for_pyramids(backbone)
        widths = head.decoder_channels
        channels = {info.name: info.channels for info in backbone.features}
        self._levels = tuple(f"c{number}" for number in range(1, len(widths) + 1))
        missing = [level for level in self._levels[1:] if level not in channels]
        if missing:
            raise InputError(
                f"unet of depth {len(widths)}: the backbone hands out {', '.join(channels)}, not {missing[0]}"
            )
        self.backbone = backbone
        self.norm = norm
        self.deep_supervision = head.deep_supervision
        self.decoder = UnetDecoder(
            [len(backbone.mean), *(channels.get(level, 0) for level in self._levels)],
            widths,
            n_blocks=len(widths),
            attention_type=None if head.attention == "none" else head.attention,
            add_center_block=head.center,
        )
        _use_norm(self.decoder, norm)
        self.segmentation_head = nn.Sequential(nn.Conv2d(widths[-1], num_classes, 3, padding=1))
        self.aux_heads = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for width in widths[:-1])
        # Several processes refuse parameters that the loss does not use.
        self.aux_heads.requires_grad_(head.deep_supervision)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised floats (N, C, H, W), H and W of any size -> logits, finest first.

        Returns:
            (N, num_classes, H, W); in training with deep supervision also those of each coarser level of the
            decoder, (N, num_classes, H / 2, W / 2), ...
        """
        height, width = images.shape[2:]
        self._check_size(height, width)
        features = self.backbone(images)
        # A backbone without stride 2 has no channels to skip with there, but its size.
        empty = images.new_zeros(len(images), 0, -(-height // 2), -(-width // 2))
        levels = [features.get(name, empty) for name in self._levels]
        sizes = [(height, width), *(tuple(level.shape[2:]) for level in levels)]
        *skips, deepest = levels
        x = self.decoder.center(deepest)
        outputs: list[Tensor] = []
        for number, block in enumerate(self.decoder.blocks):
            skip = skips[-1 - number] if number < len(skips) else None
            x = block(x, *sizes[-2 - number], skip_connection=skip)
            outputs.append(x)
        logits = [self.segmentation_head(outputs[-1])]
        if self.training and self.deep_supervision:
            logits += [head(output) for head, output in zip(self.aux_heads, outputs[:-1], strict=True)][::-1]
        return logits

    def _check_size(self, height: int, width: int) -> None:
        stride = 2 ** len(self._levels)
        if self.norm == "instance" and max(height, width) <= stride:
            raise InputError(
                f"norm 'instance': a picture of {height} x {width} px makes a map of 1 x 1 at {self._levels[-1]}, "
                f"where there is nothing to normalise; take pictures of more than {stride} px"
            )


def _use_norm(decoder: nn.Module, norm: str) -> None:
    """Make the decoder's batch norms what the encoder's are; frozen ones would never have learnt anything here."""
    if norm in ("batch", "frozen"):
        return
    for name, module in list(decoder.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            parent, _, child = name.rpartition(".")
            setattr(decoder.get_submodule(parent), child, _decoder_norm(norm, module.num_features))


def _decoder_norm(norm: str, channels: int) -> nn.Module:
    if norm != "group":
        return norm_layer(norm)(channels)
    if channels % _GROUPS:
        raise InputError(f"norm 'group' makes {_GROUPS} groups in the decoder; a width of {channels} does not divide")
    return nn.GroupNorm(_GROUPS, channels)


def downsized(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Labels (N, H, W) at a coarser level's size, without inventing classes: the nearest pixel's."""
    return torch.nn.functional.interpolate(mask[:, None].float(), size, mode="nearest-exact")[:, 0].to(mask.dtype)
