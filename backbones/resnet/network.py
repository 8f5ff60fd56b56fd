"""The residual networks of `variants.VARIANTS`: one class, with torchvision's and timm's keys and shapes."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import cast, get_args

import torch
from torch import Tensor, nn

from backbones.checkpointing import checkpointed
from backbones.errors import InputError
from backbones.features import Backbone, FeatureInfo, check_images
from backbones.held import run_backbone
from backbones.layers import Init, NormLayer, init_he, norm_layer
from backbones.resnet.blocks import BlockSpec, Bottleneck, PreActBottleneck, ResidualBlock
from backbones.resnet.deformable import ModulatedDeformConv2d
from backbones.resnet.variants import Variant
from backbones.weights import LoadReport, MismatchError, stem_statistics

# What none of the published checkpoints has: it starts so that a network without it gives the same, but for
# the norms of the pre-activated c1..c4.
_ADDITIONS = re.compile(r"\.(gate|conv_offset)\.|^taps\.c[0-4]\.")

torch.fx.wrap("check_images")  # a step of its own where the network is traced


class ResNet(Backbone):
    """A residual network without its classifier.

    Args:
        variant: a row of `VARIANTS`.
        norm: batch | sync | group | instance | frozen.
        in_channels: of the images.
        output_stride: 32, or 16 or 8: the last stages are dilated instead of strided (Chen et al. 2017,
            "Rethinking atrous convolution", section 3.1), as torchvision's `replace_stride_with_dilation`.
            The levels keep their names, c4 and c5; their `stride` is the real one.
        drop_path: chance of dropping the last block's branch in training, rising linearly from 0.
        deformable_stages: of 2, 3 and 4: the bottleneck's 3x3 convolutions learn where to look. They start
            as the plain ones.
        stride_in_1x1: the stride on the bottleneck's first 1x1, not on its 3x3.
        init: "he"; "residual_scaled": also the last convolution of each residual branch is scaled by
            1/sqrt(2); or "zero_last": its last norm (pre-activated: its last convolution) starts at zero
            instead, so that every block starts as the identity (Goyal et al. 2017, section 5.1).
        grad_checkpointing: keep only the blocks' inputs for the backward pass and compute the rest again:
            less memory, about a third more time, the same gradients.

    Raises:
        InputError: an option that this variant cannot have.
    """

    def __init__(
        self,
        variant: Variant,
        *,
        norm: str = "batch",
        in_channels: int = 3,
        output_stride: int = 32,
        drop_path: float = 0.0,
        deformable_stages: Collection[int] = (),
        stride_in_1x1: bool = False,
        init: Init = "he",
        grad_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        _check_options(variant, norm, output_stride, drop_path, stride_in_1x1, init)
        _check_deformable(variant, deformable_stages)
        make_norm = norm_layer(norm)
        self.in_channels = in_channels
        self.additions = _ADDITIONS
        self.small_images = variant.stem == "small"
        self.grad_checkpointing = grad_checkpointing
        self.conv1 = _stem(variant, in_channels, make_norm)
        if not variant.block.preactivated:
            self.bn1 = make_norm(variant.stem_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if self.small_images else nn.MaxPool2d(3, stride=2, padding=1)

        drops = iter(torch.linspace(0, drop_path, sum(variant.depths), device="cpu").tolist())
        channels, stride, dilation = variant.stem_channels, 1 if self.small_images else 4, 1
        # The level that layer 0, the stem, gives has stride 2; a small stem's stride 1 is that of layer 1 too.
        self._first_level = -1 if self.small_images else 1
        features = [] if self.small_images else [FeatureInfo("c1", channels, 2)]
        for stage, depth in enumerate(variant.depths):
            first_stride, first_dilation = 1, dilation
            if stage > 0 and stride == output_stride:
                dilation *= 2
            elif stage > 0:
                first_stride = 2
                stride *= 2
            spec = BlockSpec(
                in_channels=channels,
                width=variant.width(stage),
                out_channels=variant.channels(stage),
                stride=first_stride,
                first_dilation=first_dilation,
                dilation=dilation,
                norm=make_norm,
                groups=variant.groups,
                stride_in_1x1=stride_in_1x1,
                deformable=stage + 1 in deformable_stages,
                shortcut=variant.shortcut,
                attention=variant.attention,
                gated=variant.gated,
            )
            self.add_module(f"layer{stage + 1}", _layer(variant.block, spec, [next(drops) for _ in range(depth)]))
            channels = spec.out_channels
            features.append(FeatureInfo(f"c{self._first_level + stage + 1}", channels, stride))
        self.features = tuple(features)
        # What a pre-activated block hands on has neither norm nor ReLU yet: every level gets its own.
        self.taps = nn.ModuleDict(
            {info.name: make_norm(info.channels) for info in features} if variant.block.preactivated else {}
        )
        if variant.block.preactivated:  # timm trains its own, the only published ones, on images scaled to -1..1
            self.mean = self.std = (0.5, 0.5, 0.5)
        self.mean, self.std = stem_statistics(self.mean, in_channels), stem_statistics(self.std, in_channels)
        _initialise(self, init)

    @property
    def layers(self) -> tuple[nn.Sequential, ...]:
        """layer1, layer2, ..."""
        return tuple(module for name, module in self.named_children() if name.startswith("layer"))  # type: ignore[misc]

    def stages(self) -> tuple[tuple[nn.Module, ...], ...]:
        stem = (self.conv1,) if self.taps else (self.conv1, self.bn1)
        stages: list[tuple[nn.Module, ...]] = [stem, *((layer,) for layer in self.layers)]
        for level, tap in self.taps.items():
            number = int(level[1:]) - self._first_level
            stages[number] = (*stages[number], tap)
        return tuple(stages)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        check_images(images, self.in_channels)
        return run_backbone(self, images)

    def splits_after(self, _last: int) -> bool:
        return True

    def run_stages(self, x: Tensor, first: int, last: int) -> tuple[Tensor, dict[str, Tensor]]:
        wanted = self.levels_in_use
        levels: dict[str, Tensor] = {}
        for number in range(first, min(last, int(wanted[-1][1:]) - self._first_level) + 1):
            x = self._stage(number, x)
            self._tap(levels, wanted, number, x)
        return x, levels

    def _stage(self, number: int, x: Tensor) -> Tensor:
        if number:
            return self._run(self.layers[number - 1], self.maxpool(x) if number == 1 else x)
        x = self.conv1(x)
        return x if self.taps else self.relu(self.bn1(x))

    def _tap(self, levels: dict[str, Tensor], wanted: Collection[str], number: int, x: Tensor) -> None:
        name = f"c{self._first_level + number}"
        if name in wanted:
            levels[name] = self.relu(self.taps[name](x)) if name in self.taps else x

    def _run(self, layer: nn.Sequential, x: Tensor) -> Tensor:
        if not (self.grad_checkpointing and layer.training and torch.is_grad_enabled()):
            return layer(x)
        for block in layer:
            x = checkpointed(block, x)
        return x

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """timm's names of pre-activated networks in ours; other names as they are."""
        return {_from_timm(key) if self.taps else key: tensor for key, tensor in state.items()}

    def load_checkpoint(
        self, state: Mapping[str, Tensor], *, source: str = "the checkpoint", min_matched: float = 1.0
    ) -> LoadReport:
        if self.taps and "stem.conv.weight" in state and "norm.running_mean" not in state:
            raise MismatchError(f"{source}: a BiT network, whose convolutions standardise their weights; ours do not")
        return super().load_checkpoint(state, source=source, min_matched=min_matched)


def _stem(variant: Variant, in_channels: int, norm: NormLayer) -> nn.Module:
    out = variant.stem_channels
    if variant.stem == "small":
        return nn.Conv2d(in_channels, out, 3, padding=1, bias=False)
    if variant.stem == "plain":
        return nn.Conv2d(in_channels, out, 7, stride=2, padding=3, bias=False)
    return nn.Sequential(
        nn.Conv2d(in_channels, out // 2, 3, stride=2, padding=1, bias=False),
        norm(out // 2),
        nn.ReLU(inplace=True),
        nn.Conv2d(out // 2, out // 2, 3, padding=1, bias=False),
        norm(out // 2),
        nn.ReLU(inplace=True),
        nn.Conv2d(out // 2, out, 3, padding=1, bias=False),
    )


def _layer(block: type[ResidualBlock], first: BlockSpec, drops: list[float]) -> nn.Sequential:
    """A stage: `first`, then blocks that keep its channels and its size."""
    rest = replace(first, in_channels=first.out_channels, stride=1, first_dilation=first.dilation)
    specs = [first, *[rest] * (len(drops) - 1)]
    return nn.Sequential(*(block(replace(spec, drop_path=drop)) for spec, drop in zip(specs, drops, strict=True)))


_TIMM_NAMES = (
    (r"^stem\.conv\.", "conv1."),
    (r"^stages\.(\d+)\.blocks\.", lambda found: f"layer{int(found[1]) + 1}."),
    (r"\.norm(\d)\.", r".bn\1."),
    (r"\.downsample\.conv\.", ".downsample.0."),
    (r"^norm\.", "taps.c5."),
)


def _from_timm(key: str) -> str:
    for pattern, ours in _TIMM_NAMES:
        key = re.sub(pattern, ours, key)
    return key


def _check_options(
    variant: Variant,
    norm: str,
    output_stride: int,
    drop_path: float,
    stride_in_1x1: bool,
    init: str,
) -> None:
    if output_stride not in (8, 16, 32):
        raise InputError(f"output_stride {output_stride} is not possible (possible: 8, 16, 32)")
    if output_stride != 32 and variant.stem == "small":
        raise InputError(f"output_stride {output_stride}: a network for small images has stride 4 at its deepest")
    if drop_path and variant.shortcut == "none":
        raise InputError("drop_path: a plain network has no shortcut that could stand in for a dropped block")
    if stride_in_1x1 and variant.block not in (Bottleneck, PreActBottleneck):
        raise InputError(f"stride_in_1x1 is for bottleneck blocks; {variant.block.__name__} has no 1x1 to carry it")
    if init not in get_args(Init):
        raise InputError(f"init {init!r} is not known (known: {', '.join(get_args(Init))})")
    if init != "he" and variant.shortcut == "none":
        raise InputError(f"init {init!r} is for residual branches; a plain network has none")
    if init == "zero_last" and norm == "frozen" and not variant.block.preactivated:
        raise InputError("init 'zero_last' with norm 'frozen' would keep every residual branch at zero")


def _check_deformable(variant: Variant, stages: Collection[int]) -> None:
    if not isinstance(stages, Collection):
        raise InputError(f"deformable_stages {stages!r}: give several, as in (2, 3, 4)")
    if not stages:
        return
    if variant.block not in (Bottleneck, PreActBottleneck):
        raise InputError(
            f"deformable_stages {tuple(stages)}: only a bottleneck's 3x3 can be deformable; "
            f"this network is of {variant.block.__name__}s"
        )
    if not set(stages) <= {2, 3, 4}:
        raise InputError(f"deformable_stages {tuple(stages)} is not possible (possible: some of 2, 3, 4)")


def _initialise(module: nn.Module, init: Init) -> None:
    init_he(module)
    for child in module.modules():
        if isinstance(child, ModulatedDeformConv2d):
            child.start_undeformed()
        if isinstance(child, ResidualBlock):
            conv, norm = child.branch_end
            if init == "residual_scaled":
                with torch.no_grad():
                    cast(Tensor, conv.weight).mul_(2**-0.5)
            elif init == "zero_last":
                nn.init.zeros_(cast(Tensor, (norm or conv).weight))
