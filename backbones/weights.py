"""Reading checkpoints and fitting them to a backbone, with an account of what went where."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

from backbones.errors import InputError

_CLASSIFIERS = ("fc.", "classifier.", "head.fc.")
# torch.nn.BatchNorm counts batches since 2018; older and converted checkpoints lack the counter.
_RGB = 3
_OPTIONAL = ".num_batches_tracked"


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


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pth file, on the CPU. Never unpickles code.

    Raises:
        InputError: no such file, not readable, or no state dict in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such weights file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the failures of torch.load have no common class
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: not a readable checkpoint of plain tensors (.safetensors or .pth): {reason}"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise InputError(f"{path}: holds no state dict; save model.state_dict()")
    return {key.removeprefix("module."): value for key, value in content.items()}


def hub_state_dict(name: str) -> dict[str, Tensor]:
    """torchvision's best ImageNet checkpoint of this name, downloaded with a progress bar or cached.

    Raises:
        InputError: torchvision has none, or it cannot be downloaded.
    """
    if name not in torchvision.models.list_models(torchvision.models):
        raise InputError(f"weights 'imagenet': torchvision has none for {name!r}; give a file")
    weights = torchvision.models.get_model_weights(name).DEFAULT
    try:
        return dict(weights.get_state_dict(progress=True, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"weights 'imagenet': {name}'s could not be downloaded ({error}); give a .safetensors or .pth file"
        ) from error


def stem_statistics(values: tuple[float, ...], in_channels: int) -> tuple[float, ...]:
    """Mean or std of three channels for any number: their average for one, else repeated in turn."""
    if in_channels == 1:
        return (sum(values) / len(values),)
    return tuple(values[channel % len(values)] for channel in range(in_channels))


def _stem_kernel(kernel: Tensor, in_channels: int) -> Tensor:
    """A pretrained first kernel (out, 3, h, w) for pictures of another number of channels: summed for one,
    else repeated in turn and scaled, so that the response keeps its size."""
    if in_channels == 1:
        return kernel.float().sum(dim=1, keepdim=True)
    repeated = kernel.float().repeat(1, -(-in_channels // kernel.shape[1]), 1, 1)[:, :in_channels]
    return repeated * (kernel.shape[1] / in_channels)


def _adapt(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """`state` with what can be made to fit, and the names of it."""
    fitted, adapted = dict(state), []
    for key, tensor in own.items():
        given = state.get(key)
        if given is None:
            continue
        norm = key.rpartition(".")[0]
        is_kernel = given.ndim == tensor.ndim == 4
        if is_kernel and given.shape[1] == _RGB != tensor.shape[1] and given[:, :1].shape == tensor[:, :1].shape:
            fitted[key] = _stem_kernel(given, tensor.shape[1])
            adapted.append(key)
        elif f"{norm}.running_mean" in state and f"{norm}.running_mean" not in own:
            # Scale and shift of a batch norm, in a norm that keeps no statistics.
            adapted.append(key)
    return fitted, tuple(adapted)


def load_weights(
    module: nn.Module, state: Mapping[str, Tensor], *, source: str = "the checkpoint", min_matched: float = 1.0
) -> LoadReport:
    """Copy the tensors of `state` whose names and shapes fit into `module`.

    Args:
        source: what messages call the checkpoint.
        min_matched: the share of the module's tensors (0..1) that must be found in `state`; the
            default asks for all of them. Counters of batches seen are never asked for.

    Raises:
        InputError: fewer match than `min_matched`. The module is as it was.
    """
    own = module.state_dict()
    state, adapted = _adapt(own, state)
    matched = tuple(key for key in own if key in state and state[key].shape == own[key].shape)
    missing = tuple(key for key in own if key not in matched and not key.endswith(_OPTIONAL))
    wrong_shape = [key for key in missing if key in state]
    foreign = [key for key in state if key not in own and not key.endswith(_OPTIONAL)]
    left_out = tuple(key for key in foreign if key.startswith(_CLASSIFIERS) or _is_statistic(key, own))
    unexpected = tuple(key for key in foreign if key not in left_out)

    found = sum(not key.endswith(_OPTIONAL) for key in matched)
    asked = found + len(missing)
    if found < min_matched * asked:
        raise InputError(
            f"{source}: does not fit this model: {found} of {asked} tensors match, "
            f"{min_matched:.0%} are asked for{_examples(own, state, wrong_shape, missing, unexpected)}"
        )
    module.load_state_dict({key: state[key] for key in matched}, strict=False)
    kept = tuple(key for key in matched if key not in adapted)
    return LoadReport(kept, adapted, missing, unexpected, left_out)


def _is_statistic(key: str, own: Mapping[str, Tensor]) -> bool:
    norm, _, name = key.rpartition(".")
    return name in ("running_mean", "running_var") and f"{norm}.weight" in own


def _examples(
    own: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    wrong_shape: list[str],
    missing: tuple[str, ...],
    unexpected: tuple[str, ...],
) -> str:
    if wrong_shape:
        key = wrong_shape[0]
        return f"; {key} is {tuple(state[key].shape)} there and {tuple(own[key].shape)} here"
    parts = [f"; it lacks {missing[0]}"] if missing else []
    if unexpected:
        parts.append(f" and has {unexpected[0]}")
    return "".join(parts)
