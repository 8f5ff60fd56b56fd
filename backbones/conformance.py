"""Does a backbone keep the contract? For the authors of plugins: `check_backbone("my_network")`."""

import copy
import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from backbones.digests import changed_tensors, frozen_digests
from backbones.errors import InputError
from backbones.features import Backbone
from backbones.folding import fold, is_fixed_norm
from backbones.layers import has_running_statistics
from backbones.promises import Check, ConformanceError, keep_promises
from backbones.registry import create_backbone
from backbones.timm_models.adapter import TimmBackbone

__all__ = ["Check", "ConformanceError", "check_backbone"]

Size = tuple[int, int]

# How a backbone says that it does not take an option: in words, or as Python does.
_REFUSALS = (InputError, TypeError)


def check_backbone(name: str, *, size: Size | None = None, **options: Any) -> tuple[Check, ...]:
    """Try everything that the rest of the product relies on, and print a table of it.

    Levels of the promised channels and sizes, at odd sizes and 32 px too; 1, 3 and 4 channels; every depth of
    freezing through a training step, buffers included; unfreezing; some levels alone; other norms; the state dict's
    round trip; copies by deepcopy, pickle and `AveragedModel`, and one that is folded; `torch.fx` and torchvision's
    feature extractor (of a timm model where timm's own can be traced); `torch.compile(backend="aot_eager",
    fullgraph=True)`; `torch.export` for any batch.

    Args:
        name, options: as in `create_backbone`.
        size: height and width in pixels for a backbone that takes no other; otherwise several are tried.

    Returns:
        The checks, all of them passed. An option that the backbone refuses by name counts as passed.

    Raises:
        ConformanceError: some did not pass; after the table was printed.
    """
    torch.manual_seed(0)
    return keep_promises(name, "a backbone", _Trial(name, options, size).checks())


class _Trial:
    def __init__(self, name: str, options: dict[str, Any], size: Size | None) -> None:
        self.name = name
        self.options = options
        self.size = size or (64, 96)
        self.sizes: list[Size] = [size] if size else [(64, 96), (97, 131), (32, 32)]
        self.channels = options.get("in_channels", 3)

    def checks(self) -> dict[str, Callable[[], str]]:
        return {
            "levels: channels and sizes": self.levels,
            "images of 1, 3 and 4 channels": self.image_channels,
            "every parameter in one stage": self.stages,
            "every depth of freezing": self.freezing,
            "unfreezing": self.unfreezing,
            "some levels alone": self.some_levels,
            "other norms": self.norms,
            "state dict": self.state_dict,
            "copies": self.copies,
            "folded": self.folded,
            "torch.fx": self.fx,
            "create_feature_extractor": self.feature_extractor,
            "torch.compile": self.compile,
            "torch.export, any batch": self.export,
        }

    def make(self, **changes: Any) -> Backbone:
        return create_backbone(self.name, **{**self.options, **changes})

    def settled(self, **changes: Any) -> Backbone:
        """In eval, with running statistics of a batch: without them a deep network's numbers overflow."""
        backbone = self.make(**changes)
        norms: list[Any] = [module for module in backbone.modules() if has_running_statistics(module)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            backbone.train()(self.images(2))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        return backbone.eval()

    def images(self, batch: int = 1, size: Size | None = None, channels: int | None = None) -> Tensor:
        return torch.randn(batch, channels or self.channels, *(size or self.size))

    def levels(self) -> str:
        backbone = self.settled()
        assert [info.stride for info in backbone.features] == sorted(info.stride for info in backbone.features)
        for size in self.sizes:
            with torch.no_grad():
                levels = backbone(self.images(size=size))
            assert list(levels) == [info.name for info in backbone.features], f"{list(levels)} at {size}"
            for info in backbone.features:
                wanted = (1, info.channels, *(-(-side // info.stride) for side in size))
                assert levels[info.name].isfinite().all(), f"{info.name} is not finite at {size}"
                shape = tuple(levels[info.name].shape)
                assert shape == wanted, f"{info.name} is {shape} and not {wanted} at {size}"
        names = ", ".join(f"{info.name} {info.channels}/{info.stride}" for info in backbone.features)
        return f"{names}; {', '.join(f'{height}x{width}' for height, width in self.sizes)} px"

    def image_channels(self) -> str:
        seen = []
        for channels in (1, 3, 4):
            try:
                backbone = self.make(in_channels=channels).eval()
            except _REFUSALS as error:
                seen.append(f"{channels} refused ({error})")
                continue
            seen.append(str(channels))
            with torch.no_grad():
                backbone(self.images(channels=channels))
            assert len(backbone.mean) == len(backbone.std) == channels, f"mean and std at {channels} channels"
            message = self._refusal(backbone, self.images(channels=channels + 1))
            named = set(re.findall(r"\d+", message))
            assert {str(channels), str(channels + 1)} <= named, f"{message!r} does not name both numbers of channels"
        return f"{', '.join(seen)}: mean and std with them; others are refused"

    def _refusal(self, backbone: Backbone, images: Tensor) -> str:
        try:
            backbone(images)
        except ValueError as error:
            return str(error)
        return f"images of shape {tuple(images.shape)} are taken"

    def stages(self) -> str:
        backbone = self.make()
        owned = [parameter for stage in backbone.stages() for parameter in _parameters(stage)]
        assert len(owned) == len(set(owned)), "a parameter is in two stages"
        stray = [name for name, parameter in backbone.named_parameters() if parameter not in set(owned)]
        inside = {module for stage in backbone.stages() for part in stage for module in part.modules()}
        norms = [name for name, module in backbone.named_modules() if has_running_statistics(module)]
        stray += [name for name in norms if backbone.get_submodule(name) not in inside]
        assert not stray, f"{stray[0]} is in none"
        return f"stages 0..{len(backbone.stages()) - 1}"

    def freezing(self) -> str:
        backbone = self.make()
        depths = len(backbone.stages()) - 1
        for depth in range(depths + 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it has no pretrained weights
                backbone.freeze(depth)
            frozen = {parameter for stage in backbone.stages()[: depth + 1] for parameter in _parameters(stage)}
            for name, parameter in backbone.named_parameters():
                held = depth > 0 and parameter in frozen
                assert parameter.requires_grad != held, f"freeze({depth}): {name} is {'free' if held else 'held'}"
            digests = frozen_digests(backbone)
            free = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
            before = [parameter.detach().clone() for parameter in free]
            self._train_a_step(backbone)
            changed = changed_tensors(backbone, digests)
            assert not changed, f"freeze({depth}): {changed[0]} has changed in training"
            own = set(backbone.modules())  # a stage may wrap a parameter of its own in a list
            frozen_parts = [module for part in backbone.frozen_modules() for module in part.modules()]
            awake = [module for module in frozen_parts if module.training and module in own]
            assert not awake, f"freeze({depth}): a {type(awake[0]).__name__} inside is in training"
            self._check_held_levels(backbone, depth)
            moved = any(not torch.equal(old, new) for old, new in zip(before, free, strict=True))
            assert moved or not free, f"freeze({depth}): what is free does not train"
        return f"0 to {depths}, a training step each: nothing frozen moved, buffers included"

    def _check_held_levels(self, backbone: Backbone, depth: int) -> None:
        """The stages are in the order of their use: what stages 0..depth give needs no other."""
        levels = backbone(self.images(2))
        without_level = len(backbone.stages()) - len(backbone.features)
        held = backbone.features[: depth + 1 - without_level] if depth else ()
        for info in held[:1] if backbone.interleaved else held:
            assert not levels[info.name].requires_grad, f"freeze({depth}): {info.name} still needs what is free"

    def _train_a_step(self, backbone: Backbone) -> None:
        free = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
        if not free:
            backbone.train()(self.images(2))
            return
        optimizer = torch.optim.SGD(free, lr=0.1)
        levels = backbone.train()(self.images(2))
        torch.stack([level.float().square().mean() for level in levels.values()]).sum().backward()
        optimizer.step()

    def unfreezing(self) -> str:
        backbone = self.make()
        names = list(backbone.state_dict())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            backbone.freeze(len(backbone.stages()) - 1)
        free = [name for name, parameter in backbone.named_parameters() if parameter.requires_grad]
        assert not free, f"freezing every stage leaves {free[0]} free"
        backbone.unfreeze()
        assert all(parameter.requires_grad for parameter in backbone.parameters()), "something stays frozen"
        assert list(backbone.train().state_dict()) == names, "the state dict's keys have changed"
        assert all(module.training for module in backbone.modules()), "something stays in eval"
        return "everything trains again, under the same names"

    def some_levels(self) -> str:
        backbone, images = self.settled(), self.images(2)
        names = [info.name for info in backbone.features]
        with torch.no_grad():
            wanted = backbone(images)
        for count in range(1, len(names) + 1):
            backbone.use_levels(names[:count])
            backbone.zero_grad()
            found = {name: level for name, level in backbone(images).items() if name in names[:count]}
            with torch.no_grad():
                difference = _largest_difference(found, {name: wanted[name] for name in names[:count]})
            assert difference == 0, f"use_levels({names[:count]}) changes them"
            torch.stack([level.sum() for level in found.values()]).sum().backward()
            idle = [name for name, one in backbone.named_parameters() if one.requires_grad and one.grad is None]
            assert not idle, f"use_levels({names[:count]}): {idle[0]} has no gradient"
        return f"{names[0]} to {names[-1]}, the rest without gradients"

    def norms(self) -> str:
        images = self.images(2).double()
        seen = []
        for norm in ("frozen", "sync", "group", "instance"):
            try:
                backbone, other = self.settled(norm="batch"), self.make(norm=norm).eval()
            except _REFUSALS as error:
                seen.append(f"{norm} refused ({error})")
                continue
            kinds = [{type(module) for module in network.modules()} for network in (backbone, other)]
            assert kinds[0] != kinds[1], f"norm {norm} changes nothing"
            report = other.load_checkpoint(backbone.state_dict())
            assert not report.missing, f"norm {norm}: {report.missing[0]} is not taken from a batch norm"
            assert not (norm in ("frozen", "sync") and report.adapted), f"norm {norm}: {report.adapted[:1]} adapted"
            # A deep network without shortcuts makes per mille of float32's rounding.
            with torch.no_grad():
                levels, wanted = other.double()(images), backbone.double()(images)
            if norm in ("frozen", "sync"):
                assert _largest_difference(levels, wanted) <= 1e-4, f"norm {norm} gives something else in eval"
            seen.append(norm)
        return ", ".join(seen)

    def state_dict(self) -> str:
        backbone, other = self.settled(), self.make().eval()
        other.load_state_dict(backbone.state_dict())
        images = self.images()
        with torch.no_grad():
            assert _largest_difference(other(images), backbone(images)) == 0, "a copy gives something else"
        return f"{len(backbone.state_dict())} tensors there and back"

    def compile(self) -> str:
        backbone, images = self.settled(), self.images()
        torch.compiler.reset()  # what was compiled before counts against the limit of recompilations
        compiled = torch.compile(backbone, backend="aot_eager", fullgraph=True)
        with torch.no_grad():
            difference = _largest_difference(compiled(images), backbone(images))
        assert difference <= 1e-4, f"differs by {difference:.1e} of the largest magnitude"
        return "aot_eager, one graph"

    def copies(self) -> str:
        backbone, images = self.settled(), self.images()
        made = {
            "deepcopy": copy.deepcopy(backbone),
            "pickle": pickle.loads(pickle.dumps(backbone)),
            "AveragedModel": AveragedModel(backbone),
        }
        with torch.no_grad():
            for how, one in made.items():
                assert _largest_difference(one.eval()(images), backbone(images)) == 0, f"{how} gives something else"
        return ", ".join(made)

    def folded(self) -> str:
        backbone, images = self.settled(), self.images(2)
        merged = fold(backbone)
        with torch.no_grad():
            difference = _largest_difference(merged(images), backbone(images))
        norms = sum(map(is_fixed_norm, backbone.modules()))
        # As far as the numbers of a random network can be trusted: its own differ as much from float64's.
        assert difference <= 1e-3, f"folded it differs by {difference:.1e} of the largest magnitude"
        assert not any(map(is_fixed_norm, merged.modules())), "a batch norm is left"
        return f"{norms} norms within the convolutions before them, or a scale and a shift"

    def fx(self) -> str:
        backbone, images = self.settled(), self.images()
        if refused := _refused_of_timm(backbone, torch.fx.symbolic_trace):
            return refused
        with torch.no_grad():
            found = torch.fx.symbolic_trace(backbone)(images)
            assert _largest_difference(found, backbone(images)) <= 1e-4, "gives something else"
        return "the same outputs"

    def feature_extractor(self) -> str:
        """What its last step gives is a level, where it has the shape of one."""

        def extract(backbone: nn.Module) -> nn.Module:
            return create_feature_extractor(backbone, {get_graph_node_names(backbone)[1][-1]: "last"})

        backbone, images = self.settled(), self.images()
        if refused := _refused_of_timm(backbone, extract):
            return refused
        with torch.no_grad():
            last, levels = extract(backbone)(images)["last"], backbone(images).values()
        alike = [level for level in levels if level.shape == last.shape]
        assert not alike or any(torch.allclose(level, last, atol=1e-4, equal_nan=True) for level in alike), (
            "the last step gives something else"
        )
        return f"down to {get_graph_node_names(backbone)[1][-1]}"

    def export(self) -> str:
        backbone = self.settled()
        program = torch.export.export(backbone, (self.images(2),), dynamic_shapes=({0: torch.export.Dim("batch")},))
        for batch in (1, 2, 5):
            images = self.images(batch)
            with torch.no_grad():
                difference = _largest_difference(program.module()(images), backbone(images))
            assert difference <= 1e-4, f"differs by {difference:.1e} of the largest magnitude for {batch} images"
        return "the same outputs for 1, 2 and 5 images"


def _refused_of_timm(backbone: Backbone, trace: Callable[[nn.Module], object]) -> str:
    """That timm's model inside cannot be traced, and why; empty where it can, and where there is none."""
    if not isinstance(backbone, TimmBackbone):
        return ""
    try:
        trace(backbone.net)
    except Exception as error:
        return f"timm's own cannot be traced either: {type(error).__name__}: {error}".splitlines()[0]
    return ""


def _parameters(stage: tuple[nn.Module, ...]) -> list[nn.Parameter]:
    return list(nn.ModuleList(stage).parameters())


def _largest_difference(levels: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """Over all levels, relative to each one's largest magnitude."""
    differences = [
        (levels[name] - level).abs().max() / level.abs().max().clamp(min=1e-12) for name, level in wanted.items()
    ]
    return torch.stack(differences).max().item()  # which keeps a NaN, as Python's max does not
