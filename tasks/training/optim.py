"""Optimizer and learning rate."""

import math

import torch
from torch import nn

from tasks.config import OptimSettings, ScheduleSettings

_MOMENTUM = 0.9
_WARMUP_SHARE = 0.1


def make_optimizer(model: nn.Module, settings: OptimSettings) -> torch.optim.Optimizer:
    """SGD or AdamW over the parameters that train; norms and biases have no weight decay."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [tensor for tensor in trained if tensor.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [tensor for tensor in trained if tensor.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=_MOMENTUM, fused=True)
    return torch.optim.AdamW(groups, lr=settings.lr, fused=True)


def learning_rate(step: int, steps: int, lr: float, schedule: ScheduleSettings) -> float:
    """The rate of step `step` (from 0) of `steps`: linear warmup, then a cosine down to zero.

    Loshchilov and Hutter 2017, "SGDR", equation 5, without restarts.
    """
    warmup = min(schedule.warmup_steps, int(steps * _WARMUP_SHARE))
    if step < warmup:
        return lr * (step + 1) / (warmup + 1)
    return lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
