"""What a decoder cannot work with, said before it tries."""

from collections.abc import Sequence

from torch import Tensor

from backbones import Backbone, InputError, check_for_pyramids

LEVELS = ("c1", "c2", "c3", "c4", "c5")


def check_backbone_for(head: str, backbone: Backbone, levels: Sequence[str], output_strides: Sequence[int]) -> None:
    """Raise where `backbone` lacks one of the levels, is for small images, or is dilated as the head is not."""
    check_for_pyramids(backbone)
    have = [info.name for info in backbone.features]
    if missing := [level for level in levels if level not in have]:
        raise InputError(
            f"{head} needs {', '.join(levels)}: the backbone hands out {', '.join(have)}, not {missing[0]}"
        )
    stride = backbone.features[-1].stride
    if have[-1] == "c5" and stride not in output_strides:
        raise InputError(
            f"{head} takes a backbone of output_stride {' or '.join(map(str, output_strides))}; this one has {stride}"
        )


def encoder_channels(
    head: str, backbone: Backbone, output_strides: Sequence[int], depth: int = len(LEVELS)
) -> list[int]:
    """Channels of the images and of `depth` levels from c1 on, as segmentation-models-pytorch's decoders take them.

    c1 counts 0 channels where the backbone lacks it.

    Raises:
        InputError: the backbone lacks another level, is for small images, or has an output stride that the head does
            not take.
    """
    levels = LEVELS[:depth]
    check_backbone_for(head, backbone, levels[1:], output_strides)
    channels = {info.name: info.channels for info in backbone.features}
    return [len(backbone.mean), *(channels.get(level, 0) for level in levels)]


def check_map(images: Tensor, stride: int, norm: str, training: bool) -> None:
    """Raise where the coarsest map, of this stride, would be a single pixel that the norm makes nothing of."""
    height, width = images.shape[2:]
    alone = norm == "instance" or (norm == "batch" and training and len(images) == 1)
    if alone and max(height, width) <= stride:
        raise InputError(
            f"norm {norm!r}: an image of {height} x {width} px makes a map of 1 x 1 at stride {stride}, "
            f"where there is nothing to normalise; take images of more than {stride} px, or norm 'group'"
        )
