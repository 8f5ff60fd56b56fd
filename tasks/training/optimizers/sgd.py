"""Stochastic gradient descent with momentum."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.config import LearningRate, OptimizerName, OptimSettings

if TYPE_CHECKING:
    from torch.optim import Optimizer as TorchOptimizer


class Optimizer(OptimSettings):
    """Stochastic gradient descent with momentum."""

    name: OptimizerName = "sgd"
    lr: LearningRate = Field(0.01, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    """How much of the last step goes into the next."""

    def build(self, groups: Iterable[dict[str, Any]]) -> "TorchOptimizer":
        import torch

        return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, fused=True)
