"""Every setting, with its type, its range and its default."""

from functools import cache
from typing import Annotated, Any, Literal, Self

import tyro
from pydantic import Field, create_model, field_validator, model_validator

from backbones import InputError, parse_stages
from tasks.config.group import Group, NamedGroup, SettingsError, UserText
from tasks.config.heads import HeadSettings

SHAPES = "shapes"


class DataSettings(Group):
    """What to train on."""

    path_prefix = "data."

    path: Annotated[UserText, tyro.conf.arg(aliases=["--data"])] = SHAPES
    """`shapes` (images made on the fly) or a folder, recognised by its layout: Pascal VOC, COCO, YOLO, masks."""
    also: tuple[UserText, ...] = ()
    """More folders, of any known layout, merged with path's under one class map."""
    sampling: Literal["each", "repeat", "weighted"] = "each"
    """`each` image once an epoch; `repeat` images of rare classes (LVIS's repeat factors); `weighted`: as many as
    there are, chosen so that rare classes come more nearly as often as frequent ones."""
    repeat_threshold: float = Field(0.1, gt=0, le=1)
    """With `repeat`: classes on less than this share of the images are repeated. LVIS, with 100,000, has 0.001."""
    image_size: Annotated[int, tyro.conf.arg(aliases=["--image-size"])] = Field(320, ge=32)
    """Detection: the short side in pixels, the long side at most 1.5 times that. Segmentation: the crop's side."""
    batch_size: Annotated[int, tyro.conf.arg(aliases=["--batch-size"])] = Field(4, ge=1)
    """Images a step."""
    workers: int = Field(1, ge=0)
    """Processes that read images; any number gives the same run."""
    augment: UserText = "light"
    """none, light (mirrors), flips (upside down as well), strong (colours, blur, scale), for detection also jitter
    (large-scale) and mosaic; or a YAML file of albumentations transforms."""
    fit: Literal["crop", "resize"] = "crop"
    """Segmentation: `crop` leaves images at their scale, `resize` scales their short side to image_size first."""
    balanced_crops: bool = False
    """Segmentation: centre crops on the classes in turn, so that rare ones are seen."""
    classes: tuple[str, ...] = ()
    """Folders of masks: the names of the values 0, 1, ... Without: those of classes.txt, or the values found."""
    ignore_index: int | None = Field(None, ge=0, le=65535)
    """Folders of masks: a value that counts nowhere, besides 255."""
    val_fraction: float = Field(0.2, gt=0, lt=1)
    """The share of train that becomes val where the folder has none."""
    split_seed: int = Field(0, ge=0)
    """Which images those are."""
    voc_one_based: bool = False
    """Pascal VOC coordinates count from 1, as in the original challenge; labelImg's count from 0."""
    count: int = Field(700, ge=1)
    """How many images of shapes to train on; a tenth as many validate."""


class BackboneSettings(Group):
    """The network under the head."""

    path_prefix = "backbone."

    name: Annotated[str, tyro.conf.arg(aliases=["--backbone"])] = "resnet50"
    """A registered name, such as resnet18, or timm/<model>; `vertebra describe --all` lists them."""
    weights: Annotated[UserText | None, tyro.conf.arg(aliases=["--weights"])] = None
    """`imagenet` (the backbone's) or a torchvision detector's name (fasterrcnn_resnet50_fpn, ...), both downloaded; a
    .safetensors or .pth file of either; or a run. None trains from scratch."""
    freeze: Annotated[str, tyro.conf.arg(aliases=["--freeze"])] = "0"
    """Stages held still, from the stem on: 3 or 1-3."""
    norm: Annotated[str, tyro.conf.arg(aliases=["--norm"])] = "batch"
    """batch | sync | group | instance | frozen."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Stochastic depth: the chance of dropping the last block, rising linearly from 0."""
    output_stride: Literal[8, 16, 32] | None = None
    """Dilate the last stages instead of striding. None: as the head needs it."""
    deformable_stages: tuple[int, ...] = ()
    """Of 2, 3 and 4: stages whose bottlenecks learn where their 3x3 convolutions look."""
    grad_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, more time."""
    stride_in_1x1: bool = False
    """The original bottleneck (caffe, detectron2): the stride on the first 1x1, not on the 3x3."""
    hold_norms: bool | None = None
    """Keep the running statistics of trainable stages too. None: in detection, where pretrained weights are given."""
    init: Literal["he", "residual_scaled", "zero_last"] = "he"
    """Initialisation from scratch; zero_last starts every residual branch at zero."""

    @field_validator("freeze")
    @classmethod
    def _check_freeze(cls, value: str) -> str:
        try:
            parse_stages(value)
        except InputError as error:
            raise SettingsError(f"backbone.{error}") from None
        return value


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


class Settings(Group):
    """Everything a run needs; written to its config.yaml. `settings_for` gives it the settings of a head, an
    optimizer and a schedule."""

    task: Literal["detection", "segmentation"] = "detection"
    """What to learn: boxes around objects, or a class for every pixel."""
    config: str | None = None
    """A recipe's name, such as detection/finetune, or a YAML file of settings; flags win over it."""
    data: DataSettings = DataSettings()
    backbone: BackboneSettings = BackboneSettings()
    head: HeadSettings = HeadSettings()
    optim: OptimSettings = OptimSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 computes convolutions in bfloat16; weights, boxes and losses stay in fp32."""
    seed: int = Field(0, ge=0, lt=2**63)
    """The same seed gives the same run."""
    output: UserText | None = None
    """The run's folder. None: runs/<task>-<backbone>-<time>."""
    resume: bool = False
    """Continue the run in --output from its own config.yaml."""
    save_every: int | None = Field(None, ge=1)
    """Write last/ every so many steps, besides after every epoch."""
    verify_freeze: bool = False
    """At the end, compare every frozen tensor bit for bit with what it was."""
    evaluator: Literal["hotcoco", "pycocotools"] = "hotcoco"
    """Who computes the COCO metrics."""

    def __reduce__(self) -> tuple[Any, ...]:
        # This class is made when it is asked for: pickle finds none of its name.
        return _restored, (type(self.head), type(self.optim), type(self.schedule), self.model_dump())

    @model_validator(mode="after")
    def _check_head(self) -> Self:
        if self.task != self.head.task:
            raise SettingsError(f"head.name: {self.head.name!r} is not for {self.task}")
        self.schedule.check_rate(self.optim.lr)
        if self.backbone.output_stride not in (None, *(strides := self.head.output_strides)):
            wanted = " or ".join(map(str, strides))
            raise SettingsError(
                f"backbone.output_stride: {self.backbone.output_stride}: {self.head.name} takes {wanted}"
            )
        return self


def _restored(
    head: type[HeadSettings], optim: type[OptimSettings], schedule: type[ScheduleSettings], values: dict[str, Any]
) -> "Settings":
    return settings_for(head, optim, schedule)(**values)


@cache
def settings_for(
    head: type[HeadSettings], optim: type[OptimSettings], schedule: type[ScheduleSettings]
) -> type[Settings]:
    """The settings of a run with this head, optimizer and schedule."""
    task = Settings.model_fields["task"]
    fields: dict[str, Any] = {
        "task": (task.annotation, Field(head.task, description=task.description)),
        "head": (head, head()),
        "optim": (optim, optim()),
        "schedule": (schedule, schedule()),
    }
    return create_model("Settings", __base__=Settings, __doc__=Settings.__doc__, **fields)
