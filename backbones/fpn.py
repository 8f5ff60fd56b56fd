"""Feature pyramid over a backbone, on torchvision's op."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from backbones.errors import InputError
from backbones.features import Backbone, FeatureInfo, check_for_pyramids

Extra = Literal["pool", "conv"]


class FeaturePyramid(nn.Module):
    """A feature pyramid (Lin et al. 2017, "Feature pyramid networks", section 3 and footnote 1).

    p2..p5 are made from c2..c5, and coarser levels from p5. The children are named `body` and `fpn`, so that
    a detector built on it has torchvision's state-dict keys.

    Args:
        backbone: hands out the levels below.
        out_channels: of every level.
        levels: the finest and the coarsest; ("p2", "p6") for Faster and Mask R-CNN, ("p3", "p7") for
            RetinaNet and FCOS.
        extra: how levels coarser than the backbone's are computed: "pool" takes every second pixel of p5 (one
            level: p6), "conv" strided 3x3 convolutions (p6 and p7; Lin et al. 2017, "Focal loss", section 4).
        norm_layer: makes a norm of so many channels for each convolution; None, as in the paper, has none.

    Attributes:
        features: name, channels and stride of every level.
        out_channels: what torchvision's detectors ask for.

    Raises:
        InputError: the backbone lacks a level or is for small images, or `extra` does not make the coarsest one.
    """

    def __init__(
        self,
        backbone: Backbone,
        out_channels: int = 256,
        levels: tuple[str, str] = ("p2", "p6"),
        extra: Extra = "pool",
        norm_layer: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        check_for_pyramids(backbone)
        finest, coarsest = (_number(level) for level in levels)
        inputs = {_number(info.name): info for info in backbone.features if finest <= _number(info.name) <= coarsest}
        extras = coarsest - max(inputs, default=finest)
        strides = [info.stride for info in inputs.values()]
        if list(inputs) != list(range(finest, finest + len(inputs))) or not inputs:
            have = ", ".join(info.name for info in backbone.features)
            raise InputError(f"levels {levels}: the backbone has {have}, not all that lie below them")
        if strides != [2**level for level in inputs]:
            raise InputError(f"levels {levels}: a dilated backbone has no levels of stride 2^k for a pyramid")
        extra_levels = {"pool": 1, "conv": 2}.get(extra)
        if extra_levels is None:
            raise InputError(f"extra {extra!r} is not known (known: pool, conv)")
        if extras not in (0, extra_levels):
            raise InputError(
                f"levels {levels}: extra {extra!r} makes {extra_levels} level{'s' if extra_levels > 1 else ''} beyond "
                f"p{max(inputs)}, not {extras}"
            )
        blocks = {"pool": LastLevelMaxPool, "conv": lambda: _LastLevels(out_channels, out_channels)}[extra]
        self.body = backbone
        self.fpn = FeaturePyramidNetwork(
            [info.channels for info in inputs.values()],
            out_channels,
            extra_blocks=blocks() if extras else None,
            norm_layer=norm_layer,
        )
        self.out_channels = out_channels
        self.features = tuple(FeatureInfo(f"p{n}", out_channels, 2**n) for n in range(finest, coarsest + 1))
        self._inputs = tuple(info.name for info in inputs.values())
        coarser = {"pool": ("pool",), "conv": ("p6", "p7")}[extra] if extras else ()
        self._outputs = (*self._inputs, *coarser)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Normalised floats (N, C, H, W) -> {"p2": (N, out_channels, H/4, W/4), ..., "p6": ...}."""
        levels = self.body(images)
        pyramid = self.fpn(OrderedDict((name, levels[name]) for name in self._inputs))
        # By name: what is traced cannot be looped over.
        return {info.name: pyramid[name] for info, name in zip(self.features, self._outputs, strict=True)}

    def as_torchvision(self) -> nn.Module:
        """The same modules with the outputs named "0", "1", ... and "pool" or "p6", "p7", as torchvision's RoI
        pooling looks for them: `FasterRCNN(pyramid.as_torchvision(), num_classes=4)`."""
        return _TorchvisionPyramid(self, self._inputs)


class _LastLevels(LastLevelP6P7):
    """p6 and p7; off CUDA without autocast: of a strided bfloat16 convolution on a map one pixel wide, as p6 of a 64 px
    image is, torch 2.15 leaves the weight's gradient uninitialised on a CPU."""

    def forward(self, p: list[Tensor], c: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        if isinstance(p[-1], Proxy):  # traced: the plain path
            return super().forward(p, c, names)
        device = p[-1].device.type
        if device in ("cuda", "meta") or not torch.is_autocast_enabled(device):
            return super().forward(p, c, names)
        kind = self.p6.weight.dtype
        with torch.autocast(device, enabled=False):
            levels, _ = super().forward([p[-1].to(kind)], [c[-1].to(kind)], [])
        return [*p, *levels[1:]], [*names, "p6", "p7"]


class _TorchvisionPyramid(nn.Module):
    def __init__(self, pyramid: FeaturePyramid, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.body = pyramid.body
        self.fpn = pyramid.fpn
        self.out_channels = pyramid.out_channels
        self._inputs = inputs

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        levels = self.body(images)
        return self.fpn(OrderedDict((str(position), levels[name]) for position, name in enumerate(self._inputs)))


def _number(level: str) -> int:
    if not level[1:].isdigit():
        raise InputError(f"level {level!r} is not understood: levels are named p2, p3, ...")
    return int(level[1:])
