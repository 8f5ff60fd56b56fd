"""Linear warmup, then a cosine down to zero."""

import math

from pydantic import Field

from tasks.config import ScheduleName, ScheduleSettings

_WARMUP_SHARE = 0.1  # of the run, at most


class Schedule(ScheduleSettings):
    """Linear warmup, then a cosine down to zero (Loshchilov and Hutter 2017, "SGDR", equation 5, without restarts)."""

    name: ScheduleName = "cosine"
    warmup_steps: int = Field(50, ge=0)
    """Steps of linear warmup, at most a tenth of the run; then a cosine down to zero."""

    def rate(self, step: int, steps_per_epoch: int, lr: float) -> float:
        steps = steps_per_epoch * self.epochs
        warmup = min(self.warmup_steps, int(steps * _WARMUP_SHARE))
        if step < warmup:
            return lr * (step + 1) / (warmup + 1)
        return lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
