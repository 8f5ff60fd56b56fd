"""Checkpoint files as people have them, read without running any code in them."""

import argparse
import codecs
import pathlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from backbones.errors import InputError

# Where trainers put the tensors, the better ones first.
_CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model", "ema_state_dict", "state_dict_ema", "ema")
_MOST_NESTED = 3
# Plain data that lies beside the tensors: none of these does anything when it is made.
_NUMPY_TYPES = [np.dtype, np.ndarray, *(type(np.dtype(kind)) for kind in "?bhilqBHILQefdFDSU")]
_RECONSTRUCT = [np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]]
_PLAIN: list[Any] = [argparse.Namespace, SimpleNamespace, codecs.encode, *_NUMPY_TYPES, *_RECONSTRUCT]
_PLAIN += [pathlib.PosixPath, pathlib.PurePosixPath]
_NAMED = re.compile(r"GLOBAL ([\w.]+)")


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pth file, on the CPU. Never unpickles code.

    They may lie under `state_dict`, `model`, `ema` and their like, beside numbers, texts, an argparse.Namespace and
    numpy scalars.

    Raises:
        InputError: no such file, not readable, or no state dict in it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such weights file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_PLAIN):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the failures of torch.load have no common class
        raise InputError(
            f"{path}: not a readable checkpoint of plain tensors (.safetensors or .pth): {_reason(error)}"
        ) from error
    tensors = _find_tensors(content, _MOST_NESTED)
    if not tensors:
        raise InputError(f"{path}: holds no state dict; save model.state_dict()")
    return {key.removeprefix("module."): value for key, value in tensors.items()}


def _find_tensors(content: Any, deep: int) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    for key in _CONTAINERS if deep else ():
        if found := _find_tensors(content.get(key), deep - 1):
            return found
    return {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _reason(error: Exception) -> str:
    if found := _NAMED.search(str(error)):
        return f"it holds a {found[1]}, which is no plain data; save model.state_dict() alone"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
