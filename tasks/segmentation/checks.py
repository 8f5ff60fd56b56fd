"""What a decoder cannot work with, said before it tries."""

from collections.abc import Sequence

from backbones import Backbone, InputError, check_levels

LEVELS = ("c1", "c2", "c3", "c4", "c5")


def encoder_channels(head: str, backbone: Backbone, levels: Sequence[str], output_strides: Sequence[int]) -> list[int]:
    """Channels of the images and of c1 to the coarsest level, as segmentation-models-pytorch's decoders take them.

    Levels that the head does not take, and a c1 that the backbone lacks, count 0 channels.

    Raises:
        InputError: the backbone lacks a level, is for small images, or has an output stride that the head does not
            take.
    """
    check_levels(head, backbone, levels)
    features = {info.name: info for info in backbone.features if info.name in levels}
    number, stride = LEVELS.index(levels[-1]) + 1, features[levels[-1]].stride
    if stride not in [min(2**number, possible) for possible in output_strides]:
        raise InputError(
            f"{head} takes a backbone of output_stride {' or '.join(map(str, output_strides))}; this one has {stride}"
        )
    widths = [features[name].channels if name in features else 0 for name in LEVELS[:number]]
    return [len(backbone.mean), *widths]
