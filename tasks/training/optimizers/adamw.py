"""AdamW (Loshchilov and Hutter 2019, "Decoupled weight decay regularization")."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from tasks.config import LearningRate, OptimizerName, OptimSettings

if TYPE_CHECKING:
    from torch.optim import Optimizer as TorchOptimizer

Beta = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(OptimSettings):
    """AdamW."""

    name: OptimizerName = "adamw"
    lr: LearningRate = Field(3e-4, gt=0)
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """How slowly the averages of the gradient and of its square move."""

    def build(self, groups: Iterable[dict[str, Any]]) -> "TorchOptimizer":
        import torch

        return torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, fused=True)
