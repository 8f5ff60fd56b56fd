"""How the learning rate goes, against torch's own schedulers."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts

from tasks.config import SettingsError
from tasks.training import find_schedule, list_schedules

STEPS_PER_EPOCH = 7


def _optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


@pytest.mark.parametrize(("T_0", "T_mult", "eta_min"), [(10, 2, 1e-6), (3, 1, 0.0), (1, 3, 1e-3)])
def test_restarts_are_torchs_over_a_whole_run(T_0: int, T_mult: int, eta_min: float) -> None:
    epochs, lr = 45, 0.3
    optimizer = _optimizer(lr)
    # torch counts in what `step` is called for: steps, here.
    torchs = CosineAnnealingWarmRestarts(optimizer, T_0 * STEPS_PER_EPOCH, T_mult, eta_min)
    ours = find_schedule("restarts")(epochs=epochs, T_0=T_0, T_mult=T_mult, eta_min=eta_min)
    for step in range(epochs * STEPS_PER_EPOCH):
        assert ours.rate(step, STEPS_PER_EPOCH, lr) == pytest.approx(torchs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        torchs.step()


def test_restarts_by_epoch_are_torchs_in_fractions_of_an_epoch() -> None:
    """Also when a run is resumed in the middle of a cycle: a step's rate depends on nothing before it."""
    optimizer = _optimizer(0.3)
    torchs = CosineAnnealingWarmRestarts(optimizer, 10, 2, 1e-6)
    ours = find_schedule("restarts")(epochs=70)
    for step in (3, 10 * STEPS_PER_EPOCH, 16 * STEPS_PER_EPOCH + 4, 30 * STEPS_PER_EPOCH, 69 * STEPS_PER_EPOCH + 6):
        torchs.step(step / STEPS_PER_EPOCH)
        assert ours.rate(step, STEPS_PER_EPOCH, 0.3) == pytest.approx(torchs.get_last_lr()[0], abs=1e-12)


def test_cosine_without_warmup_is_torchs() -> None:
    optimizer = _optimizer(0.4)
    torchs = CosineAnnealingLR(optimizer, 10 * STEPS_PER_EPOCH)
    ours = find_schedule("cosine")(epochs=10, warmup_steps=0)
    for step in range(10 * STEPS_PER_EPOCH):
        assert ours.rate(step, STEPS_PER_EPOCH, 0.4) == pytest.approx(torchs.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        torchs.step()


def test_warmup_then_cosine_to_zero() -> None:
    schedule = find_schedule("cosine")(epochs=2, warmup_steps=10)
    rates = [schedule.rate(step, 100, 0.4) for step in range(200)]
    assert rates[:10] == pytest.approx([0.4 * (step + 1) / 11 for step in range(10)])
    assert max(rates) == rates[10] == 0.4
    assert rates[10 + 95] == pytest.approx(0.2)  # halfway down
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.2 * (1 + math.cos(math.pi * 189 / 190)))


def test_warmup_is_at_most_a_tenth_of_a_short_run() -> None:
    schedule = find_schedule("cosine")(epochs=1, warmup_steps=1000)
    assert schedule.rate(2, 20, 1.0) == 1.0
    assert schedule.rate(0, 1, 1.0) == 1.0


def test_what_a_schedule_has_not_is_named() -> None:
    assert list_schedules() == ["cosine", "restarts"]
    with pytest.raises(SettingsError, match=r"warmup_steps: restarts has no such setting \(it has name, epochs, "):
        find_schedule("restarts")(warmup_steps=3)
    with pytest.raises(SettingsError, match=r"schedule\.name: 'restart' is not known; did you mean 'restarts'"):
        find_schedule("restart")
