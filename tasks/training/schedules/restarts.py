"""Cosine with warm restarts."""

import math
from typing import ClassVar

from pydantic import Field

from tasks.config import ScheduleName, ScheduleSettings, SettingsError


class Schedule(ScheduleSettings):
    """Cosines that start again from the highest rate (Loshchilov and Hutter 2017, "SGDR", equation 5), step by step as
    `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`."""

    goes_on: ClassVar[bool] = True

    name: ScheduleName = "restarts"
    T_0: int = Field(10, ge=1)
    """Epochs of the first cycle."""
    T_mult: int = Field(2, ge=1)
    """By which each cycle is longer than the one before."""
    eta_min: float = Field(1e-6, ge=0)
    """Lowest learning rate."""

    def check_rate(self, lr: float) -> None:
        if self.eta_min > lr:
            raise SettingsError(f"schedule.eta_min: {self.eta_min:g}: is above optim.lr, {lr:g}")

    def rate(self, step: int, steps_per_epoch: int, lr: float) -> float:
        # In steps: counting in epochs, fractions would decide where a cycle ends.
        position, cycle = step, self.T_0 * steps_per_epoch
        while position >= cycle:
            position -= cycle
            cycle *= self.T_mult
        return self.eta_min + (lr - self.eta_min) * (1 + math.cos(math.pi * position / cycle)) / 2
