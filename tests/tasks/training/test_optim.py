"""Who is decayed, who is held, and how the learning rate goes."""

import math

import pytest
import torch
from torch import nn

from tasks.config import OptimSettings, ScheduleSettings
from tasks.training.optim import learning_rate, make_optimizer


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_norms_and_biases_are_not_decayed_and_frozen_tensors_are_absent(name: str, kind: type) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2), nn.Linear(2, 2))
    model[3].requires_grad_(False)
    optimizer = make_optimizer(model, OptimSettings(name=name, weight_decay=0.05, lr=0.1))
    assert isinstance(optimizer, kind)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert [decay.get(id(p)) for p in model.parameters()] == [0.05, 0, 0, 0, 0.05, 0, None, None]


def test_warmup_then_cosine_to_zero() -> None:
    schedule = ScheduleSettings(warmup_steps=10)
    rates = [learning_rate(step, 200, 0.4, schedule) for step in range(200)]
    assert rates[:10] == pytest.approx([0.4 * (step + 1) / 11 for step in range(10)])
    assert max(rates) == rates[10] == 0.4
    assert rates[10 + 95] == pytest.approx(0.2)  # halfway down
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.2 * (1 + math.cos(math.pi * 189 / 190)))


def test_warmup_is_at_most_a_tenth_of_a_short_run() -> None:
    schedule = ScheduleSettings(warmup_steps=1000)
    assert learning_rate(2, 20, 1.0, schedule) == 1.0
    assert learning_rate(0, 1, 1.0, schedule) == 1.0
