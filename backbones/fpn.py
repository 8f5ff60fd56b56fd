"""Feature pyramid over a backbone, on torchvision's op."""

from collections import OrderedDict

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from backbones.errors import InputError
from backbones.features import Backbone, FeatureInfo


class FeaturePyramid(nn.Module):
    """The pyramid p2..p6 (Lin et al. 2017, "Feature pyramid networks", section 3 and footnote 1).

    p2..p5 are made from c2..c5; p6 is p5 at every second pixel. The children are named `body` and
    `fpn`, so that a detector built on it has torchvision's state-dict keys.

    Args:
        backbone: hands out c2..c5.
        out_channels: of every level.

    Attributes:
        features: name, channels and stride of every level.
        out_channels: what torchvision's detectors ask for.
    """

    def __init__(self, backbone: Backbone, out_channels: int = 256) -> None:
        super().__init__()
        inputs = [info for info in backbone.features if info.name in ("c2", "c3", "c4", "c5")]
        if len(inputs) != 4:
            have = ", ".join(info.name for info in backbone.features)
            raise InputError(f"a pyramid p2..p6 needs c2, c3, c4 and c5; this backbone has {have}")
        self.body = backbone
        self.fpn = FeaturePyramidNetwork(
            [info.channels for info in inputs], out_channels, extra_blocks=LastLevelMaxPool()
        )
        self.out_channels = out_channels
        self.features = tuple(FeatureInfo(f"p{level}", out_channels, 2**level) for level in range(2, 7))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised floats (N, C, H, W) -> {"p2": (N, out_channels, H/4, W/4), ..., "p6": ...}."""
        levels = self.body(images)
        pyramid = self.fpn(OrderedDict((name, levels[name]) for name in ("c2", "c3", "c4", "c5")))
        return {info.name: level for info, level in zip(self.features, pyramid.values(), strict=True)}

    def as_torchvision(self) -> nn.Module:
        """The same modules with the outputs named "0".."3" and "pool", as torchvision's RoI pooling
        looks for them: `FasterRCNN(pyramid.as_torchvision(), num_classes=4)`."""
        return _TorchvisionPyramid(self)


class _TorchvisionPyramid(nn.Module):
    def __init__(self, pyramid: FeaturePyramid) -> None:
        super().__init__()
        self.body = pyramid.body
        self.fpn = pyramid.fpn
        self.out_channels = pyramid.out_channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        levels = self.body(images)
        return self.fpn(OrderedDict((str(level - 2), levels[f"c{level}"]) for level in range(2, 6)))
