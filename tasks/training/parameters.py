"""The optimizer over the parameters that train."""

import torch
from torch import nn

from tasks.config import OptimSettings


def make_optimizer(model: nn.Module, settings: OptimSettings) -> torch.optim.Optimizer:
    """The optimizer over the parameters that require a gradient; norms and biases have no weight decay."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [tensor for tensor in trained if tensor.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [tensor for tensor in trained if tensor.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer: torch.optim.Optimizer = settings.build(groups)
    return optimizer
