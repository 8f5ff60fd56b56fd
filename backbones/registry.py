"""Backbones by name: ours, and those of installed packages.

A package adds backbones through entry points of the group `vertebra.backbones`:

    [project.entry-points."vertebra.backbones"]
    my_network = "my_package:build"   # build(**options) -> Backbone
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backbones.checkpoint_files import read_state_dict
from backbones.errors import InputError, nearest
from backbones.features import Backbone
from backbones.hub import hub_weights
from backbones.resnet.network import ResNet
from backbones.resnet.variants import VARIANTS
from backbones.weights import MismatchError, stem_statistics

Builder = Callable[..., Backbone]

_builders: dict[str, Builder] = {name: partial(ResNet, variant) for name, variant in VARIANTS.items()}
_PLUGINS = "vertebra.backbones"
_TIMM = "timm/"
_DEFAULTS = {"norm": "batch", "in_channels": 3, "output_stride": 32, "drop_path": 0.0}


def register_backbone(name: str, builder: Builder) -> None:
    """Add `builder(**options) -> Backbone` under `name`. It gets those options of `create_backbone` that
    are not at their defaults: a builder need not take what it cannot do.

    Raises:
        ValueError: the name is taken.
    """
    if name in _builders:
        raise ValueError(f"the backbone {name!r} is registered already")
    _builders[name] = builder


def list_backbones() -> list[str]:
    """The registered names, in alphabetical order."""
    _discover()
    return sorted(_builders)


@cache
def _discover() -> None:
    places: dict[str, list[str]] = {}
    for entry in entry_points(group=_PLUGINS):
        own = ["vertebra"] if entry.name in _builders and entry.name not in places else []
        places.setdefault(entry.name, own).append(entry.value)
        _builders[entry.name] = _late(entry, places[entry.name])


def _late(entry: EntryPoint, places: list[str]) -> Builder:
    """The package is imported when its backbone is built: one that is broken leaves the others usable."""

    def build(**options: Any) -> Backbone:
        if len(places) > 1:
            raise InputError(
                f"backbone {entry.name!r} is in several packages ({', '.join(places)}); uninstall the others"
            )
        try:
            builder = entry.load()
        except (Exception, SystemExit) as error:  # whatever a foreign package raises
            raise InputError(f"backbone {entry.name!r}: {entry.value} cannot be imported: {_line(error)}") from error
        with suppress(ValueError):  # what has no signature takes what it takes
            signature(builder).bind(**options)
        try:
            backbone = builder(**options)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"backbone {entry.name!r}: {entry.value} cannot be built: {_line(error)}") from error
        if not isinstance(backbone, Backbone):
            raise InputError(f"backbone {entry.name!r}: {entry.value} gives a {type(backbone).__name__}, no Backbone")
        return backbone

    return build


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def create_backbone(
    name: str,
    *,
    weights: str | Path | None = None,
    in_channels: int = 3,
    norm: str = "batch",
    frozen_stages: int | str | Iterable[int] = 0,
    output_stride: int = 32,
    drop_path: float = 0.0,
    **options: Any,
) -> Backbone:
    """Build a backbone by name.

    Args:
        name: one of `list_backbones()`, or "timm/<model>" for a timm model.
        weights: None for a fresh initialisation, "imagenet" for torchvision's or timm's checkpoint (downloaded),
            or the path of a .safetensors or .pth file. `backbone.load_report` says how it fitted.
        in_channels: of the images; pretrained stem kernels are adapted, mean and std with them.
        norm: batch | sync | group | instance | frozen.
        frozen_stages: 0 for none; n for the stem and stages 1..n. See `Backbone.freeze`.
        output_stride: of the deepest level: 8 | 16 | 32 (dilated below 32).
        drop_path: stochastic depth, 0..1, rising linearly with depth.
        options: what the backbone takes; see `resnet.network.ResNet` (`deformable_stages`, `stride_in_1x1`, `init`,
            `grad_checkpointing`) and `timm_models.adapter.TimmBackbone` (`img_size`).

    Raises:
        InputError: an unknown name or value, or weights that do not fit.
        TypeError: an option that this backbone does not take.
    """
    if in_channels < 1:
        raise InputError(f"in_channels {in_channels}: images have at least one channel")
    if not 0 <= drop_path < 1:
        raise InputError(f"drop_path {drop_path} is no chance from 0 to below 1")
    general = {"norm": norm, "in_channels": in_channels, "output_stride": output_stride, "drop_path": drop_path}
    given = {option: value for option, value in general.items() if value != _DEFAULTS[option]}
    backbone = _builder(name)(**given, **options)
    if weights is not None:
        load_weights(backbone, name, weights)
    backbone.freeze(frozen_stages)
    return backbone


def load_weights(backbone: Backbone, name: str, weights: str | Path) -> dict[str, Tensor]:
    """Load "imagenet" or a file into a backbone that was created under `name`; see `create_backbone`.

    Returns:
        All tensors of the checkpoint, under its own names.
    """
    if weights == "imagenet":
        published = hub_weights(name)
        backbone.load_checkpoint(published.state, source=f"{name}'s ImageNet weights")
        backbone.mean = stem_statistics(published.mean, len(backbone.mean))
        backbone.std = stem_statistics(published.std, len(backbone.std))
        return published.state
    state = read_state_dict(weights)
    try:
        backbone.load_checkpoint(state, source=str(weights))
    except MismatchError as error:
        raise InputError(f"{error}{_architecture_of(state)}") from None
    return state


def _builder(name: str) -> Builder:
    if name.startswith(_TIMM):
        # Imported here: timm builds its list of 1,000 models on import, which a plain ResNet need not wait for.
        from backbones.timm_models.adapter import TimmBackbone

        return partial(TimmBackbone, name.removeprefix(_TIMM))
    known = list_backbones()
    if name not in known:
        raise InputError(
            f"backbone {name!r} is not known{nearest(name, known)} (known: the {len(known)} of list_backbones(), "
            f"and timm/<model>)"
        )
    return _builders[name]


def _architecture_of(state: Mapping[str, Tensor]) -> str:
    """A hint at the registered backbone that a checkpoint is of."""
    lacking: dict[str, int] = {}
    for name in list_backbones():
        try:
            with torch.device("meta"):
                _, report = _builders[name]().match_checkpoint(state)
        except Exception:  # not this one, or a plugin that cannot be built
            continue
        lacking[name] = len(report.missing)
    if not lacking:
        return "; it fits no registered backbone with its default options"
    return f"; it fits {min(lacking, key=lacking.__getitem__)!r}"
