"""Where the stages of a timm model end, read from its features, its modules and its gradients."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from backbones.errors import InputError

# Names that a model's feature_info gives and its modules do not have.
_RENAMED = (
    (r"^block\.", "blocks."),  # twins
    (r"^block\.", "stages."),  # mvitv2
    (r"^stem$", "act2"),  # hrnet: the stem is two convolutions, then come layer1 and stage2..stage4
    (r"^stage1$", "layer1"),
    (r"^bn1$", "conv_stem"),  # mobilenetv5
)
_WRAPPERS = r"^(model|body)\."  # what timm's feature nets put around a model
# Its branches of every resolution meet again at each of its own stages: the finest level needs them all.
_INTERLEAVED = ("HighResolutionNetFeatures",)


def is_interleaved(net: nn.Module) -> bool:
    return type(net).__name__ in _INTERLEAVED


def split_stages(net: nn.Module, levels: Mapping[str, Tensor], has_c1: bool) -> list[list[str]]:
    """The names of the modules, and of parameters beside them, of stage 0, 1, ...; each parameter is in one.

    A stage is what its level needs and the finer ones do not. timm registers modules in the order of their use, so
    a stage ends with the module that gives its level; the few that are registered out of turn (a later stage's
    patch embedding, a shortcut) go where the gradients say.

    Args:
        net: made with `features_only`; its modules may be flattened (`stages.0` -> `stages_0`).
        levels: finest first, the name of each level's module in feature_info, and what it gave for an image.
        has_c1: the first level is c1, which the stem gives. Otherwise the stem is what comes before the first
            stage: a patch embedding.

    Raises:
        InputError: a level's module cannot be found.
    """
    ends = _find(net, levels)
    units = list(_units(net, "", ends))
    first = None if has_c1 else _first_stage(units, ends[0])
    needed_by = {} if is_interleaved(net) else _first_levels(net, list(levels.values()), has_c1)
    stages: list[list[str]] = [[] for _ in range(len(ends) + (not has_c1))]
    number = 0
    for unit in units:
        number += unit == first
        for part, stage in _place(net, unit, number, needed_by, has_c1):
            stages[stage].append(part)
        number += unit in ends[:-1]
    return stages


def _find(net: nn.Module, levels: Collection[str]) -> list[str]:
    names: dict[str, str] = {}
    for name, _ in net.named_modules():
        names[re.sub(_WRAPPERS, "", name).replace(".", "_")] = name
        names[name.replace(".", "_")] = name
    found = []
    for level in levels:
        candidates = [level, *(re.sub(pattern, name, level) for pattern, name in _RENAMED)]
        known = [name for candidate in candidates if (name := names.get(candidate.replace(".", "_")))]
        if not known:
            raise InputError(f"its stages cannot be separated: no module gives the level {level!r}")
        found.append(known[0])
    return found


def _units(module: nn.Module, prefix: str, ends: Collection[str]) -> Iterator[str]:
    """Parameters and modules in order of registration; of modules that hold an end inside, their parts."""
    for name, _ in module.named_parameters(recurse=False):
        yield prefix + name
    for name, child in module.named_children():
        if any(end.startswith(f"{prefix}{name}.") for end in ends):
            yield from _units(child, f"{prefix}{name}.", ends)
        else:
            yield prefix + name


def _first_stage(units: Sequence[str], end: str) -> str:
    """The unit that stage 1 begins with: `end` itself or, of numbered ones (blocks.0, blocks.1), the first."""
    numbered = re.fullmatch(r"(.*[._])\d+", end)
    prefix = numbered[1] if numbered else end
    return next(unit for unit in units if unit.startswith(prefix))


def _first_levels(net: nn.Module, levels: Sequence[Tensor], has_c1: bool) -> dict[str, int]:
    """For each parameter the stage of the finest level that depends on it."""
    parameters = {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}
    found: dict[str, int] = {}
    for stage, level in enumerate(levels, start=0 if has_c1 else 1):
        left = [name for name in parameters if name not in found]
        if not left:
            break
        gradients = torch.autograd.grad(
            level.sum(), [parameters[name] for name in left], retain_graph=True, allow_unused=True
        )
        found.update({name: stage for name, gradient in zip(left, gradients, strict=True) if gradient is not None})
    return found


def _place(
    net: nn.Module, unit: str, number: int, needed_by: Mapping[str, int], has_c1: bool
) -> Iterator[tuple[str, int]]:
    """The unit with its stage, or its parts with theirs where they belong to several."""
    stages = {stage for name, stage in needed_by.items() if name == unit or name.startswith(f"{unit}.")}
    if number == 0 and not has_c1:
        stages = {stage - (stage == 1) for stage in stages}  # the stem and stage 1 both begin at the first level
    if len(stages) > 1:
        for part in _units(net.get_submodule(unit), f"{unit}.", ()):
            yield from _place(net, part, number, needed_by, has_c1)
    else:
        yield unit, next(iter(stages), number)
