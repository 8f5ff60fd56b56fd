"""Fitting checkpoints to a backbone, with an account of what went where."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from backbones.errors import InputError

_RGB = 3
# torch.nn.BatchNorm counts batches since 2018; older and converted checkpoints lack the counter.
_OPTIONAL = ".num_batches_tracked"

# What other libraries put a network into.
_WRAPPERS = (
    "module",
    "_orig_mod",
    "model",
    "backbone",
    "encoder",
    "net",
    "network",
    "ema",
    "student",
    "online_network",
)


class MismatchError(InputError):
    """A checkpoint of another architecture."""


@dataclass(frozen=True)
class LoadReport:
    """How a checkpoint fitted; names are those of the state dict.

    Attributes:
        matched: taken as they are.
        adapted: taken after a change of shape or meaning.
        missing: in the model, not in the checkpoint: left at their initialisation.
        unexpected: in the checkpoint, not in the model.
        left_out: what the model has no place for by its kind: the classifier, and running statistics where
            its norms keep none.
    """

    matched: tuple[str, ...]
    adapted: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{len(self.matched)} tensors taken"]
        for label in ("adapted", "missing", "unexpected"):
            if names := getattr(self, label):
                parts.append(f"{len(names)} {label} ({names[0]}{', ...' if len(names) > 1 else ''})")
        if self.left_out:
            parts.append(f"{len(self.left_out)} left out by design ({', '.join(self.left_out[:2])})")
        return ", ".join(parts)


def stem_statistics(values: tuple[float, ...], in_channels: int) -> tuple[float, ...]:
    """Mean or std of three channels for any number: their average for one, else repeated in turn."""
    if in_channels == 1:
        return (sum(values) / len(values),)
    return tuple(values[channel % len(values)] for channel in range(in_channels))


def _stem_kernel(kernel: Tensor, in_channels: int) -> Tensor:
    """A pretrained first kernel (out, channels, h, w) for images of another number of channels: summed for one,
    else repeated in turn and scaled, so that the response keeps its size; of a kernel for grey images, what it gave
    for grey ones."""
    if in_channels == 1:
        return kernel.float().sum(dim=1, keepdim=True)
    repeated = kernel.float().repeat(1, -(-in_channels // kernel.shape[1]), 1, 1)[:, :in_channels]
    return repeated * (kernel.shape[1] / in_channels)


def _adapt(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """`state` with what can be made to fit, and the names of it."""
    first = [name for name, one in own.items() if one.ndim == 4][:1]
    fitted, adapted = dict(state), []
    for key, tensor in own.items():
        given = state.get(key)
        if given is None:
            continue
        norm = key.rpartition(".")[0]
        if given.ndim == tensor.ndim == 4 and _is_of_other_images(given, tensor, is_first=key in first):
            fitted[key] = _stem_kernel(given, tensor.shape[1])
            adapted.append(key)
        elif f"{norm}.running_mean" in state and f"{norm}.running_mean" not in own:
            # Scale and shift of a batch norm, in a norm that keeps no statistics.
            adapted.append(key)
    return fitted, tuple(adapted)


def _is_of_other_images(kernel: Tensor, own: Tensor, *, is_first: bool) -> bool:
    """Whether a kernel is this one for images of other channels; of one channel are also those of grouped
    convolutions, further up."""
    differs = kernel.shape[1] != own.shape[1] and kernel[:, :1].shape == own[:, :1].shape
    return differs and (kernel.shape[1] == _RGB or (kernel.shape[1] == 1 and is_first))


def without_wrappers(
    state: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    translate: Callable[[Mapping[str, Tensor]], dict[str, Tensor]],
) -> dict[str, Tensor]:
    """A checkpoint's tensors under the names of the network alone: without `module.`, `model.`, `encoder.` and their
    like, and several of them, as far as more names are then the network's own.

    Args:
        own: the network's state dict.
        translate: a checkpoint's names to the network's.
    """
    best, most, stripped = dict(state), -1, dict(state)
    while True:
        translated = translate(stripped)
        fitting = sum(key in translated for key in own)
        if fitting > most:
            best, most = translated, fitting
        firsts = Counter(key.partition(".")[0] for key in stripped if "." in key)
        wrappers = [first for first, _ in firsts.most_common() if first in _WRAPPERS]
        if not wrappers:
            return best
        stripped = {key.removeprefix(f"{wrappers[0]}."): value for key, value in stripped.items()}


def match_weights(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    source: str = "the checkpoint",
    min_matched: float = 1.0,
    additions: re.Pattern[str] | None = None,
    is_left_out: Callable[[str], bool] = lambda name: False,
) -> tuple[dict[str, Tensor], LoadReport]:
    """The tensors of `state` whose names and shapes fit `module`, adapted where they have to be.

    Args:
        source: what messages call the checkpoint.
        min_matched: the share (0..1) of the tensors that must match: the module's own, and those that the
            checkpoint has beside them in the same parts (a longer `layer3`). The default asks for all. Counters of
            batches seen are never asked for.
        additions: matches the names of tensors that are not asked for either.
        is_left_out: whether a name in `state` is one that a model of this kind has no place for.

    Raises:
        MismatchError: fewer match than `min_matched`.
    """
    own = module.state_dict()
    state, adapted = _adapt(own, state)
    matched = tuple(key for key in own if key in state and state[key].shape == own[key].shape)
    missing = tuple(key for key in own if key not in matched and not key.endswith(_OPTIONAL))
    wrong_shape = [key for key in missing if key in state]
    foreign = [key for key in state if key not in own and not key.endswith(_OPTIONAL)]
    left_out = tuple(key for key in foreign if is_left_out(key) or _is_statistic(key, own))
    unexpected = tuple(key for key in foreign if key not in left_out)

    found = sum(not key.endswith(_OPTIONAL) for key in matched)
    parts = {key.split(".")[0] for key in own}
    strangers = [key for key in unexpected if key.split(".")[0] in parts]
    asked = found + sum(not (additions and additions.search(key)) for key in missing) + len(strangers)
    if found < min_matched * asked:
        raise MismatchError(
            f"{source}: does not fit this model: {found} of {asked} tensors match, "
            f"{min_matched:.0%} are asked for{_examples(own, state, wrong_shape, missing, strangers or unexpected)}"
        )
    kept = tuple(key for key in matched if key not in adapted)
    changed = tuple(key for key in matched if key in adapted)
    return {key: state[key] for key in matched}, LoadReport(kept, changed, missing, unexpected, left_out)


def _is_statistic(key: str, own: Mapping[str, Tensor]) -> bool:
    return is_running_statistic(key) and f"{key.rpartition('.')[0]}.weight" in own


def is_running_statistic(key: str) -> bool:
    return key.endswith((".running_mean", ".running_var", _OPTIONAL))


def _examples(
    own: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    wrong_shape: list[str],
    missing: tuple[str, ...],
    unexpected: Sequence[str],
) -> str:
    if wrong_shape:
        key = wrong_shape[0]
        return f"; {key} is {tuple(state[key].shape)} there and {tuple(own[key].shape)} here"
    parts = [f"it lacks {missing[0]}"] if missing else []
    parts += [f"it has {unexpected[0]}, which is not here"] if unexpected else []
    return "; " + " and ".join(parts)
