"""Every timm model that gives features, as a backbone: `create_backbone("timm/convnext_tiny")`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import timm
import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional

from backbones.errors import InputError, nearest
from backbones.features import Backbone, FeatureInfo, check_images
from backbones.held import run_backbone
from backbones.timm_models.norms import convert_norms
from backbones.timm_models.running import checkpoint_gradients, run, splits
from backbones.timm_models.stages import is_interleaved, split_stages
from backbones.weights import stem_statistics, without_wrappers

_TRIED = 128  # pixels
_ODD = (97, 131)  # no stride but 1 divides it

torch.fx.wrap("check_images")  # a step of its own where the network is traced


class TimmBackbone(Backbone):
    """A timm model made with `features_only`, its maps as (N, C, H, W), its stages separated for freezing.

    Images of sizes that the model cannot take are padded at the right and at the bottom with zeros (the mean), and
    the levels cropped to ceil(size / stride). Of several features with one stride the last counts; features with
    stride 1 are not handed out.

    Args:
        model: timm's name, with or without a pretrained tag.
        norm: "batch": the model's own, of whatever kind; else what its batch norms become.
        in_channels, output_stride, drop_path: passed on to the model.
        img_size: passed on, for models whose weights fix the size.
        grad_checkpointing: keep only what goes into the model's parts for the backward pass and compute the rest again.

    Raises:
        InputError: no such model, an option that it does not take, or features that are no pyramid.
    """

    def __init__(
        self,
        model: str,
        *,
        norm: str = "batch",
        in_channels: int = 3,
        output_stride: int = 32,
        drop_path: float = 0.0,
        img_size: int | tuple[int, int] | None = None,
        grad_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if not timm.is_model(model):
            raise InputError(f"timm has no model {model!r}{nearest(model, timm.list_models())}")
        self.model = model
        self.in_channels = in_channels
        self.grad_checkpointing = grad_checkpointing
        options = _options(in_channels, output_stride, drop_path, img_size)
        with torch.inference_mode(False):
            with torch.device("meta"):
                options |= _free_size(model, options)
                plan = _plan(model, options)
            self.net = _create(model, options)
        self._set_drop_path(drop_path)
        convert_norms(self.net, norm)
        if grad_checkpointing and not checkpoint_gradients(self.net):
            raise InputError(f"timm/{model} does not take grad_checkpointing: timm has no switch for it there")
        info = self.net.feature_info
        channels, strides = info.channels(), info.reduction()
        if output_stride != 32 and strides[-1] != output_stride:
            raise InputError(f"timm/{model} does not take output_stride {output_stride}: it keeps {strides[-1]}")
        self.features = tuple(FeatureInfo(name, channels[i], strides[i]) for name, i in plan.levels.items())
        self._plan = plan
        self._splits: dict[int, bool] = {}
        self.fixed_size = plan.fixed
        self.interleaved = is_interleaved(self.net)
        self._fixed = tuple(name for name, one in self.named_parameters() if not one.requires_grad)
        self._check_stages()
        self._channels_last = str(getattr(self.net, "output_fmt", "NCHW")).endswith("NHWC")
        config = self.net.pretrained_cfg
        self.mean = stem_statistics(tuple(config["mean"]), in_channels)
        self.std = stem_statistics(tuple(config["std"]), in_channels)

    def stages(self) -> tuple[tuple[nn.Module, ...], ...]:
        modules, parameters = dict(self.net.named_modules()), dict(self.net.named_parameters())
        return tuple(
            tuple(modules[name] if name in modules else nn.ParameterList([parameters[name]]) for name in stage)
            for stage in self._plan.stages
        )

    def _set_drop_path(self, drop_path: float) -> None:
        drops = [module for module in self.net.modules() if isinstance(module, DropPath)]
        if drop_path and not any(module.drop_prob for module in drops):
            raise InputError(f"timm/{self.model} does not take drop_path: it drops no paths")
        if not drop_path:
            for module in drops:  # many transformers have a rate of their own
                module.drop_prob = 0.0

    def _check_stages(self) -> None:
        owners: dict[Tensor, int] = {}
        for number, stage in enumerate(self.stages()):
            for parameter in nn.ModuleList(stage).parameters():
                if owners.setdefault(parameter, number) != number:
                    raise InputError(
                        f"timm/{self.model}: the stages {owners[parameter]} and {number} share parameters: "
                        f"one cannot be frozen without the other"
                    )
        stray = [name for name, parameter in self.named_parameters() if parameter not in owners]
        if stray:
            raise InputError(f"timm/{self.model}: {stray[0]} belongs to no stage")

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        check_images(images, self.in_channels)
        _check_size(images, self._plan.fixed, self.model)
        levels = run_backbone(self, images)
        if self._plan.multiple == 1:
            return levels
        return {
            info.name: _cropped(levels[info.name], images, info.stride) for info in self.features if info.name in levels
        }

    def splits_after(self, last: int) -> bool:
        if last not in self._splits:
            self._splits[last] = splits(self.net, self._count(last), nn.ModuleList(sum(self.stages()[: last + 1], ())))
        return self._splits[last]

    def _count(self, last: int) -> int:
        """How many of the model's features stages 0..last give."""
        names = [info.name for info in self.features]
        without_level = len(self._plan.stages) - len(names)
        given = names[: max(0, last + 1 - without_level)]
        return self._plan.levels[given[-1]] + 1 if given else 0

    def run_stages(self, x: Any, first: int, last: int) -> tuple[Any, dict[str, Tensor]]:
        positions, wanted = self._plan.levels, self.levels_in_use
        begin, end = self._count(first - 1), min(self._count(last), positions[wanted[-1]] + 1)
        if end <= begin:
            return x, {}
        x, outputs = run(self.net, x if begin else _padded(x, self._plan.multiple), begin, end)
        levels = {}
        for name in wanted:
            if begin <= positions[name] < end:
                output = outputs[positions[name] - begin]
                levels[name] = output.permute(0, 3, 1, 2) if self._channels_last else output
        return x, levels

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A checkpoint of the whole model, as timm saves it, under the names of its flattened modules."""
        if self._is_port(state):
            state = dict(zip(self._whole, state.values(), strict=True))
        parts = {name.split(".")[0] for name in self._whole}
        return {self._own_name(name, name.split(".")[0] in parts): tensor for name, tensor in state.items()}

    def _is_port(self, state: Mapping[str, Tensor]) -> bool:
        """Whether all names differ, but tensor by tensor, in order, kind and shape are the whole model's."""

        def kinds(tensors: Mapping[str, Tensor]) -> list[tuple[str, torch.Size]]:
            return [(name.rpartition(".")[2], tensor.shape) for name, tensor in tensors.items()]

        return not self._whole.keys() & state.keys() and kinds(self._whole) == kinds(state)

    def is_left_out(self, name: str) -> bool:
        return name.removeprefix("net.") in self._whole

    def classifier(self, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        """As any backbone's; but what a model has between its features and its classifier may have no tensors (an
        activation, another pooling), so an image is tried."""
        found = super().classifier(state)
        return found if found is not None and _is_on_mean(self.model, state, *found) else None

    def _own_name(self, name: str, of_this_model: bool) -> str:
        return self._own_names.get(_flat(name), f"net.{name}" if of_this_model else name)

    @cached_property
    def _own_names(self) -> dict[str, str]:
        names = list(self.state_dict())
        unwrapped = {_flat(re.sub(r"^net\.(model|body)\.", "", name)): name for name in names}
        return unwrapped | {_flat(name.removeprefix("net.")): name for name in names}

    @cached_property
    def _whole(self) -> dict[str, Tensor]:
        """The state dict of the model with its classifier, on the meta device."""
        with torch.device("meta"):
            return dict(timm.create_model(self.model).state_dict())


def _is_on_mean(model: str, state: Mapping[str, Tensor], weight: Tensor, bias: Tensor) -> bool:
    """Whether a whole model's logits are those of this layer on the mean of the coarsest level."""
    whole, features = timm.create_model(model, num_classes=len(bias)).eval(), TimmBackbone(model).eval()
    whole.load_state_dict(without_wrappers(state, whole.state_dict(), dict), strict=False)
    features.load_checkpoint(state)
    side = features.fixed_size or (_TRIED, _TRIED)
    image = torch.rand(1, len(features.mean), *side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean = features(image)[features.features[-1].name].mean((2, 3))
        logits, ours = whole(image), functional.linear(mean, weight.to(mean.dtype), bias.to(mean.dtype))
    return torch.allclose(logits, ours, rtol=1e-3, atol=1e-3 * float(logits.abs().max()))


def _flat(name: str) -> str:
    return name.replace(".", "_")


@dataclass(frozen=True)
class _Plan:
    """What a model turns out to be when it is tried on the meta device.

    Attributes:
        levels: the name of each level and its index among the features.
        stages: see `split_stages`.
        multiple: what images are padded to, 1 where any size will do.
        fixed: the one size (height, width) that the model takes, or None.
    """

    levels: dict[str, int]
    stages: list[list[str]]
    multiple: int
    fixed: tuple[int, int] | None


def _options(
    in_channels: int, output_stride: int, drop_path: float, img_size: int | tuple[int, int] | None
) -> dict[str, Any]:
    given = {"in_chans": (in_channels, 3), "output_stride": (output_stride, 32), "drop_path_rate": (drop_path, 0.0)}
    options: dict[str, Any] = {name: value for name, (value, default) in given.items() if value != default}
    return options | ({} if img_size is None else {"img_size": img_size})


def _create(model: str, options: Mapping[str, Any]) -> Any:
    try:
        return timm.create_model(model, features_only=True, **options)
    except Exception as error:  # timm's models refuse what they do not know each in their own way
        said = f": {error}" if str(error) else ""
        what = ", ".join(f"{name}={value}" for name, value in options.items()) or "features_only"
        raise InputError(f"timm/{model} cannot be made with {what}{said}") from error


def _free_size(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The option that frees a model from its pretraining's image size, where it has one."""
    if "img_size" in options or not _create(model, options).pretrained_cfg.get("fixed_input_size"):
        return {}
    for option in ({"dynamic_img_size": True}, {"strict_img_size": False}):
        try:
            timm.create_model(model, features_only=True, **options, **option)
        except TypeError:
            continue
        return option
    return {}


def _levels(model: str, options: Mapping[str, Any]) -> dict[str, int]:
    """Levels are named by the strides of the model as it is, whatever it is dilated to."""
    plain = {name: value for name, value in options.items() if name != "output_stride"}
    strides: list[int] = _create(model, plain).feature_info.reduction()
    if any(stride & (stride - 1) for stride in strides):
        raise InputError(f"timm/{model} is no pyramid: its features have the strides {strides}, not powers of two")
    return {f"c{stride.bit_length() - 1}": index for index, stride in enumerate(strides) if stride > 1}


def _plan(model: str, options: Mapping[str, Any]) -> _Plan:
    levels = _levels(model, options)
    net = _create(model, options).eval()
    strides: list[int] = net.feature_info.reduction()
    size = options.get("img_size", net.pretrained_cfg["input_size"][1:])
    native = (size, size) if isinstance(size, int) else tuple(size)
    channels = options.get("in_chans", 3)
    channels_last = str(getattr(net, "output_fmt", "NCHW")).endswith("NHWC")

    def run(height: int, width: int) -> list[Tensor] | None:
        """The features of an image, where each is the image's size divided by its stride, rounded up."""
        try:
            outputs = net(torch.zeros(1, channels, height, width))
        except Exception:  # whatever a model says of a size that it cannot take
            return None
        sizes = [tuple(output.shape[1:3] if channels_last else output.shape[2:]) for output in outputs]
        return outputs if sizes == [(-(-height // s), -(-width // s)) for s in strides] else None

    with torch.enable_grad():
        outputs = run(*native)
        if outputs is None:
            raise InputError(f"timm/{model}: its features are not the image divided by the strides {strides}")
        modules = net.feature_info.module_name()
        given = {modules[index]: outputs[index] for index in levels.values()}
        try:
            stages = split_stages(net, given, has_c1="c1" in levels)
        except InputError as error:
            raise InputError(f"timm/{model}: {error}") from None
    with torch.no_grad():
        if run(*_ODD):
            return _Plan(levels, stages, 1, None)
        for multiple in (strides[-1], 2 * strides[-1], max(native)):
            if run(multiple, 2 * multiple) and run(3 * multiple, multiple):
                return _Plan(levels, stages, multiple, None)
    return _Plan(levels, stages, 1, native)


@torch.fx.wrap
def _check_size(images: Tensor, fixed: tuple[int, int] | None, model: str) -> None:
    height, width = images.shape[2:]
    if fixed not in (None, (height, width)):
        wanted = " x ".join(map(str, fixed or ()))
        raise InputError(
            f"timm/{model} takes only images of {wanted} px, not {height} x {width}: "
            f"its weights fix the size; give another with img_size"
        )


@torch.fx.wrap
def _padded(images: Tensor, multiple: int) -> Tensor:
    """At the bottom and on the right, to a multiple of pixels."""
    down, right = -images.shape[2] % multiple, -images.shape[3] % multiple
    return functional.pad(images, (0, right, 0, down)) if down or right else images


@torch.fx.wrap
def _cropped(level: Tensor, images: Tensor, stride: int) -> Tensor:
    """What padding added to a level is taken off again."""
    rows, columns = (-(-side // stride) for side in images.shape[2:])
    return level if level.shape[2:] == (rows, columns) else level[:, :, :rows, :columns]
