"""Everything a run needs, put together for its task, head, optimizer and schedule."""

from functools import cache
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, create_model, model_validator

from tasks.config.backbone import BackboneSettings
from tasks.config.data import ClassificationData, DataSettings, DetectionData, SegmentationData
from tasks.config.group import Device, Group, SettingsError, UserText
from tasks.config.heads import HeadSettings
from tasks.config.optim import OptimSettings, ScheduleSettings


class Settings(Group):
    """Everything a run needs; written to its config.yaml. Each task has a subclass, and `settings_for` gives it the
    settings of a head, an optimizer and a schedule."""

    # What they hand to the task itself.
    of_task: ClassVar[tuple[str, ...]] = ()

    task: Literal["detection", "segmentation", "classification"] = "detection"
    """What to learn: boxes around objects, a class for every pixel, or one for every image."""
    config: str | None = None
    """A recipe's name, such as detection/finetune, or a YAML file of settings; flags win over it."""
    output: UserText | None = None
    """The run's folder. None: runs/<task>-<backbone>-<time>."""
    resume: bool = False
    """Continue the run in --output from its own config.yaml."""
    resume_anyway: bool = False
    """Continue it although the data or settings are not what they were, and write that down."""
    device: Device = "auto"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """bf16 and fp16 compute convolutions in 16 bits; weights, boxes and losses stay in fp32. In fp16 losses are scaled
    so that small gradients are not lost."""
    accumulate: int = Field(1, ge=1)
    """In how many parts the images of a step are computed, one after the other: as many times less memory."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Evaluate, and keep as the best, a moving average of the weights: this share of itself and the rest of the weights
    after each step; 0.999 is usual."""
    seed: int = Field(0, ge=0, lt=2**63)
    """The same seed gives the same run."""
    save_every: int | None = Field(None, ge=1)
    """Write last/ every so many steps, besides after every epoch."""
    max_minutes: float | None = Field(None, gt=0)
    """Stop after so many, with last/ written."""
    patience: int | None = Field(None, ge=1)
    """End after so many validations without a better one."""
    non_finite: Literal["stop", "skip"] = "stop"
    """What to do at a loss or gradient that is not finite; skipped are at most 20 steps in a row."""
    dry_run: bool = False
    """Two steps of everything, and nothing kept: whether it all goes through."""
    profile: bool = False
    """Where the time of a step goes: a table, and a trace for a browser, of five steps near the beginning."""
    overfit: int | None = Field(None, ge=1)
    """Train on so many images alone, and evaluate on the same: whether the data can be learnt at all."""
    replay: UserText | None = None
    """Compute a step again that was not finite, from the file that the training has left in its folder."""
    verify_freeze: bool = False
    """At the end, compare every frozen tensor bit for bit with what it was."""
    data: DataSettings = DataSettings()
    backbone: BackboneSettings = BackboneSettings()
    head: HeadSettings = HeadSettings()
    optim: OptimSettings = OptimSettings()
    schedule: ScheduleSettings = ScheduleSettings()

    def __reduce__(self) -> tuple[Any, ...]:
        # This class is made when it is asked for: pickle finds none of its name.
        return _restored, (type(self.head), type(self.optim), type(self.schedule), self.model_dump())

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.task != self.head.task:
            raise SettingsError(f"head.name: {self.head.name!r} is not for {self.task}")
        self.schedule.check_rate(self.optim.lr)
        if self.resume_anyway and not self.resume:
            raise SettingsError("resume_anyway: says how to resume; give --resume too")
        if self.overfit is not None and (self.resume or self.dry_run):
            raise SettingsError("overfit: is done in one go; leave out --resume and --dry-run")
        if self.accumulate > self.data.batch_size:
            raise SettingsError(
                f"accumulate: {self.accumulate}: a step has {self.data.batch_size} images (data.batch_size), which "
                "make no more parts"
            )
        if self.backbone.output_stride not in (None, *(strides := self.head.output_strides)):
            wanted = " or ".join(map(str, strides))
            raise SettingsError(
                f"backbone.output_stride: {self.backbone.output_stride}: {self.head.name} takes {wanted}"
            )
        return self


class DetectionSettings(Settings):
    of_task: ClassVar[tuple[str, ...]] = ("evaluator",)

    evaluator: Literal["hotcoco", "pycocotools"] = "hotcoco"
    """Who computes the COCO metrics."""
    data: DetectionData = DetectionData()


class SegmentationSettings(Settings):
    data: SegmentationData = SegmentationData()


class ClassificationSettings(Settings):
    data: ClassificationData = ClassificationData()


TASKS: dict[str, type[Settings]] = {
    "detection": DetectionSettings,
    "segmentation": SegmentationSettings,
    "classification": ClassificationSettings,
}


def _restored(
    head: type[HeadSettings], optim: type[OptimSettings], schedule: type[ScheduleSettings], values: dict[str, Any]
) -> Settings:
    return settings_for(head, optim, schedule)(**values)


@cache
def settings_for(
    head: type[HeadSettings], optim: type[OptimSettings], schedule: type[ScheduleSettings]
) -> type[Settings]:
    """The settings of a run with this head, for its task, with this optimizer and schedule."""
    task = Settings.model_fields["task"]
    fields: dict[str, Any] = {
        "task": (task.annotation, Field(head.task, description=task.description)),
        "head": (head, head()),
        "optim": (optim, optim()),
        "schedule": (schedule, schedule()),
    }
    return create_model("Settings", __base__=TASKS[head.task], __doc__=Settings.__doc__, **fields)


def data_settings(task: str) -> type[DataSettings]:
    """The data settings of a task."""
    found = TASKS[task].model_fields["data"].annotation
    assert isinstance(found, type)
    return found
