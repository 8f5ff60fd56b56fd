"""What a decoder cannot work with, said before it tries."""

from collections.abc import Sequence

from torch import Tensor

from backbones import Backbone, InputError, check_for_pyramids


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


def check_map(images: Tensor, stride: int, norm: str, training: bool) -> None:
    """Raise where the coarsest map, of this stride, would be a single pixel that the norm makes nothing of."""
    height, width = images.shape[2:]
    alone = norm == "instance" or (norm == "batch" and training and len(images) == 1)
    if alone and max(height, width) <= stride:
        raise InputError(
            f"norm {norm!r}: an image of {height} x {width} px makes a map of 1 x 1 at stride {stride}, "
            f"where there is nothing to normalise; take images of more than {stride} px, or norm 'group'"
        )
