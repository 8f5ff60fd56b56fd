"""Parts of a network for inference, compiled by torch.compile."""

from typing import Any

import torch
from torch import nn

from backbones.errors import InputError

# Weights are constants of what is compiled, packed once as the convolutions want them.
_HOW: dict[str, Any] = {"backend": "inductor", "options": {"freezing": True}}


def compile_for_inference(module: nn.Module, device: torch.device) -> None:
    """Let a module be compiled, in place, when it is first called without gradients.

    It is compiled for the first size of image, and where others come a few times more, for all sizes; the state dict
    keeps its keys. Weights that change afterwards may or may not be seen.

    Args:
        module: in eval.
        device: that it is on.

    Raises:
        InputError: this machine cannot compile.
    """
    try:
        torch.compile(_plus_one, **_HOW)(torch.zeros(8, device=device))
    except Exception as error:  # whatever is missing: a C++ compiler, its headers, triton
        cause = getattr(error, "inner_exception", error)
        reason = next((line for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
        raise InputError(
            f"torch.compile does not work here: {reason} (it needs a C++ compiler, such as g++, and on a GPU triton); "
            "leave out what asks for it"
        ) from error
    module.compile(**_HOW)


def _plus_one(x: torch.Tensor) -> torch.Tensor:
    return x + 1
