"""A moving average of the weights."""

from copy import deepcopy

import torch
from torch import Tensor, nn


class AveragedWeights:
    """A copy of a model whose weights follow the model's (Polyak and Juditsky 1992): after step n the copy is a share d
    of itself and 1 - d of the model, d = min(decay, (1 + n) / (10 + n)), as in TensorFlow's and timm's, so that a
    short run does not evaluate its beginning. What is no weight (running statistics) is the model's.

    Args:
        model: to follow; on its device already.
        decay: 0..1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model)
        self.decay = decay
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        self._names = sorted(trained)
        self.model.requires_grad_(False)

    @torch.no_grad()
    def follow(self, model: nn.Module, step: int) -> None:
        """Take in the model's weights after a step, counted from 1."""
        own, its = dict(self.model.named_parameters()), dict(model.named_parameters())
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_([own[name] for name in self._names], [its[name] for name in self._names], share)

    @torch.no_grad()
    def take_buffers(self, model: nn.Module) -> None:
        """The model's running statistics, before the copy is used."""
        its: dict[str, Tensor] = dict(model.named_buffers())
        for name, buffer in self.model.named_buffers():
            if not torch.equal(buffer, its[name]):
                buffer.copy_(its[name])
