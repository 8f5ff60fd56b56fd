"""What the settings of every optimizer and of every schedule are made of; `tasks.training` has a file for each."""

from typing import Annotated, Any, ClassVar

import tyro
from pydantic import Field

from tasks.config.group import NamedGroup

OptimizerName = Annotated[str, tyro.conf.arg(aliases=["--optim"], help="Which optimizer.")]
LearningRate = Annotated[float, tyro.conf.arg(aliases=["--lr"], help="Highest learning rate.")]
ScheduleName = Annotated[str, tyro.conf.arg(aliases=["--schedule"], help="How the learning rate goes.")]


class OptimSettings(NamedGroup):
    """What every optimizer has; `tasks.training.optimizers` has a file for each."""

    path_prefix = "optim."

    name: OptimizerName = ""
    lr: LearningRate = Field(0.01, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    """On weights of two and more dimensions; norms and biases have none."""
    clip_norm: float = Field(10.0, gt=0)
    """Longest gradient; longer ones are scaled down."""

    def build(self, groups: Any) -> Any:
        """The torch optimizer over groups of parameters, each with its weight decay."""
        raise NotImplementedError


class ScheduleSettings(NamedGroup):
    """What every schedule has; `tasks.training.schedules` has a file for each."""

    path_prefix = "schedule."

    # Whether the rates of a run's first epochs are the same however many follow, so that it may be given more.
    goes_on: ClassVar[bool] = False

    name: ScheduleName = ""
    epochs: Annotated[int, tyro.conf.arg(aliases=["--epochs"])] = Field(10, ge=1)
    """Passes over the training set."""

    def check_rate(self, lr: float) -> None:
        """Raise a SettingsError where the schedule cannot go with this highest learning rate."""

    def rate(self, step: int, steps_per_epoch: int, lr: float) -> float:
        """The learning rate of a step.

        Args:
            step: from 0.
            lr: the highest.
        """
        raise NotImplementedError
