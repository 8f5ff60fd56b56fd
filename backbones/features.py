"""The contract of a backbone: what it hands out, how it is cut into stages, what stays frozen."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from backbones.errors import InputError
from backbones.freezing import FreezeReport, parse_stages, warn_untrained
from backbones.hub import IMAGENET_MEAN, IMAGENET_STD
from backbones.layers import has_running_statistics
from backbones.trial import idle_parameters
from backbones.weights import LoadReport, is_running_statistic, match_weights, without_wrappers

_CLASSIFIERS = ("fc.", "classifier.", "head.fc.")


@dataclass(frozen=True)
class FeatureInfo:
    """One feature level: `c2` has stride 2^2 (the papers' names)."""

    name: str
    channels: int
    stride: int


class Backbone(nn.Module):
    """Base class of every backbone: named feature levels, and stages that freeze as one prefix.

    A subclass sets `features` and gives `stages` and `forward`, which maps normalised float images
    (N, C, H, W) of any size to `{"c1": Tensor, ..., "c5": Tensor}` in the order of `features`. It may leave out what is
    not among `levels_in_use`.

    Attributes:
        features: the levels that there are, finest first.
        levels_in_use: the names of those that `forward` returns; all, unless `use_levels` says otherwise.
        mean, std: what the weights expect of the images' channels, in units of 0..1. Plain tuples:
            they are not in the state dict.
        frozen_stages: 0 where nothing is frozen; n where the stem and stages 1..n are.
        pretrained: True once a state dict was loaded.
        load_report: how the weights given at creation fitted, or None.
        small_images: True for networks of 32 px images, which feed no pyramid, detector or segmenter.
        fixed_size: (height, width) in pixels of the only images that it takes, or None.
        interleaved: True where the finest levels need every stage (HRNet).
        grad_checkpointing: True where a part's activations are computed again in the backward pass, not kept.
        compile_frozen: True where frozen stages that run apart are compiled; they take no gradient.
        additions: matches the names of tensors that no published checkpoint has: loading does not ask for them.
    """

    features: tuple[FeatureInfo, ...]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    load_report: LoadReport | None = None
    small_images: bool = False
    interleaved: bool = False
    grad_checkpointing: bool = False
    compile_frozen: bool = False
    fixed_size: tuple[int, int] | None = None
    additions: re.Pattern[str] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.frozen_stages = 0
        self.pretrained = False
        self._norms_held = False
        self._in_use: frozenset[str] | None = None
        self._idle: tuple[str, ...] = ()
        self._fixed: tuple[str, ...] = ()  # what the network itself never trains
        self.register_load_state_dict_post_hook(_mark_pretrained)

    def stages(self) -> tuple[tuple[nn.Module, ...], ...]:
        """The modules of stage 0 (the stem), 1, 2, ...; every parameter belongs to exactly one."""
        raise NotImplementedError

    def use_levels(self, levels: Iterable[str] | None) -> None:
        """Hand out these levels alone; None for all that there are.

        What none of them needs has `requires_grad=False` from now on, as several processes ask for, and stages beyond
        the coarsest of them are not run. The state dict's keys stay as they are.

        Raises:
            InputError: there is no such level, or none was named.
        """
        names = [info.name for info in self.features]
        wanted = names if levels is None else list(levels)
        if not wanted or (missing := [level for level in wanted if level not in names]):
            what = f"there is no level {missing[0]!r}" if wanted else "no level is named"
            raise InputError(f"{what} (this backbone hands out {', '.join(names)})")
        self._in_use = None if set(wanted) == set(names) else frozenset(wanted)
        before, self._idle = self._idle, () if self._in_use is None else idle_parameters(self, self._run_small)
        # The others stay as they are: whoever holds some by hand finds them held.
        held = {parameter for module in self.frozen_modules() for parameter in module.parameters()}
        for name in {*before, *self._idle} - {*self._fixed}:
            parameter = self.get_parameter(name)
            parameter.requires_grad_(name not in self._idle and parameter not in held)

    @property
    def levels_in_use(self) -> tuple[str, ...]:
        names = tuple(info.name for info in self.features)
        return names if self._in_use is None else tuple(name for name in names if name in self._in_use)

    def _run_small(self, trial: nn.Module) -> dict[str, Tensor]:
        side = 2 * max(32, *(info.stride for info in self.features))
        height, width = self.fixed_size or (side, side)
        levels = trial(torch.zeros(1, len(self.mean), height, width, device="meta"))
        return {name: levels[name] for name in self.levels_in_use}

    def freeze(self, stages: int | str | Iterable[int]) -> FreezeReport:
        """Freeze the stem and stages 1..n, and nothing else.

        Args:
            stages: n, or the prefix written out: `3`, `"3"`, `"1-3"`, `{1, 2, 3}`. 0 freezes nothing.

        Returns:
            What is held still now: no gradients, and `eval()` whatever `train()` is called on this
            module or one above it, so running statistics, dropout and stochastic depth hold still.

        Raises:
            InputError: the stages are no prefix, or there are not as many.
        """
        frozen = parse_stages(stages, len(self.stages()) - 1)
        if frozen and not self.pretrained:
            warn_untrained()
        self.frozen_stages = frozen
        self._set_gradients()
        self.train(self.training)
        return self.freeze_report()

    def _set_gradients(self) -> None:
        for number, stage in enumerate(self.stages()):
            for module in stage:
                module.requires_grad_(not (self.frozen_stages and number <= self.frozen_stages))
        for name in (*self._idle, *self._fixed):
            self.get_parameter(name).requires_grad_(False)

    def unfreeze(self) -> None:
        """Let every stage train again. The state dict's keys are what they always were."""
        self.freeze(0)

    def freeze_report(self) -> FreezeReport:
        """Count what is held still now."""
        frozen = self.frozen_modules()
        idle = {self.get_parameter(name) for name in self._idle}
        owned = [set(nn.ModuleList(stage).parameters()) for stage in self.stages()]
        return FreezeReport(
            stages=tuple(range(self.frozen_stages + 1)) if self.frozen_stages else (),
            parameters=sum(tensor.numel() for module in frozen for tensor in module.parameters()),
            buffers=sum(tensor.numel() for module in frozen for tensor in module.buffers()),
            total=self.num_parameters(),
            levels=self.levels_in_use,
            idle=sum(parameter.numel() for parameter in idle),
            idle_stages=tuple(number for number, stage in enumerate(owned) if stage and stage <= idle),
        )

    def frozen_modules(self) -> tuple[nn.Module, ...]:
        """The modules that `freeze` holds still."""
        if not self.frozen_stages:
            return ()
        return tuple(module for stage in self.stages()[: self.frozen_stages + 1] for module in stage)

    def hold_norms(self, held: bool = True) -> None:
        """Keep the running statistics of every norm as they are, in the trainable stages too.

        Batches of two to eight images estimate them badly; the affine parameters still train.
        """
        self._norms_held = held
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        for module in self.frozen_modules():
            module.eval()
        if self._norms_held:
            for module in self.modules():
                if has_running_statistics(module):
                    module.eval()
        return self

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        raise NotImplementedError

    def splits_after(self, _last: int) -> bool:
        """Whether stages 0..last can be run by themselves, by `run_stages`; they run faster then while they are frozen.
        A subclass that can has `run_backbone` as its `forward`."""
        return False

    def run_stages(self, x: Any, first: int, last: int) -> tuple[Any, dict[str, Tensor]]:
        """Run stages first..last, and none beyond the levels in use.

        Args:
            x: the images where first is 0, else what stage first - 1 has handed on.

        Returns:
            What the next stage takes, and the levels in use among these.
        """
        raise NotImplementedError

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A checkpoint's tensors under this backbone's names, where others name them otherwise."""
        return dict(state)

    def is_left_out(self, name: str) -> bool:
        """Whether a checkpoint's tensor of this name is a classifier's, which a backbone has no place for."""
        return name.startswith(_CLASSIFIERS)

    def match_checkpoint(
        self, state: Mapping[str, Tensor], *, source: str = "the checkpoint", min_matched: float = 1.0
    ) -> tuple[dict[str, Tensor], LoadReport]:
        """The tensors of a checkpoint that fit, under this backbone's names; see `weights.match_weights`."""
        return match_weights(
            self,
            without_wrappers(state, self.state_dict(), self.translate),
            source=source,
            min_matched=min_matched,
            additions=self.additions,
            is_left_out=self.is_left_out,
        )

    def load_checkpoint(
        self, state: Mapping[str, Tensor], *, source: str = "the checkpoint", min_matched: float = 1.0
    ) -> LoadReport:
        """Take the tensors of a checkpoint, all but the classifier.

        Args:
            source: what messages call the checkpoint.
            min_matched: the share of tensors (0..1) that must match.

        Raises:
            MismatchError: fewer match; it is of another architecture. Nothing is taken.
        """
        tensors, report = self.match_checkpoint(state, source=source, min_matched=min_matched)
        self.load_state_dict(tensors, strict=False)
        self.load_report = report
        return report

    def classifier(self, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        """The classifier of a checkpoint, if it is one linear layer on the mean of the coarsest level, and the
        checkpoint has nothing between the two.

        Returns:
            Its weight (classes, channels) and bias (classes,).
        """
        state = without_wrappers(state, self.state_dict(), self.translate)
        _, report = match_weights(self, state, min_matched=0.0, is_left_out=self.is_left_out)
        outside = [name for name in (*report.left_out, *report.unexpected) if not is_running_statistic(name)]
        layer = outside[0].rpartition(".")[0] if outside else ""
        if set(outside) != {f"{layer}.weight", f"{layer}.bias"}:
            return None
        weight, bias = state[f"{layer}.weight"].flatten(1), state[f"{layer}.bias"]
        fits = weight.shape == (len(bias), self.features[-1].channels)
        return (weight, bias) if fits else None

    def __prepare_scriptable__(self) -> nn.Module:
        """What `torch.jit.script` calls first, of a module around this one too."""
        raise NotImplementedError(
            "torch.jit.script cannot compile this backbone, nor what is built on it; take torch.export.export or "
            "torch.compile"
        )

    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


def _mark_pretrained(module: nn.Module, _incompatible: object) -> None:
    assert isinstance(module, Backbone)
    module.pretrained = True


def check_images(images: Tensor, channels: int) -> None:
    """Raise where `images` is not a float batch (N, `channels`, H, W)."""
    if images.ndim != 4 or images.shape[1] != channels:
        raise ValueError(f"the backbone takes images of shape (N, {channels}, H, W), got {tuple(images.shape)}")
    if not torch.is_floating_point(images):
        raise TypeError(f"the backbone takes normalised floats, got {images.dtype}")


def check_levels(head: str, backbone: Backbone, levels: Iterable[str]) -> None:
    """Raise where `backbone` lacks one of these levels other than c1, or is for small images."""
    check_for_pyramids(backbone)
    have, wanted = [info.name for info in backbone.features], [level for level in levels if level != "c1"]
    if missing := [level for level in wanted if level not in have]:
        raise InputError(
            f"{head} needs {', '.join(wanted)}: the backbone hands out {', '.join(have)}, not {missing[0]}"
        )


def check_for_pyramids(backbone: Backbone) -> None:
    """Raise where `backbone` is no use to a pyramid, a detector or a segmenter."""
    if backbone.small_images:
        coarsest = backbone.features[-1]
        raise InputError(
            f"this backbone is for classifying images of about 32 px: its stem has stride 1 and its coarsest level, "
            f"{coarsest.name}, stride {coarsest.stride}; detectors and segmenters need c2..c5: take resnet18 or another"
        )
