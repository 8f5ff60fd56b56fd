"""Every setting, with its type, its range and its default."""

from typing import Annotated, Literal, Self

import tyro
from pydantic import Field, model_validator

from tasks.config.group import Group, SettingsError
from tasks.config.heads import HEADS, OUTPUT_STRIDES, SETTINGS_OF, Head

SHAPES = "shapes"


class DataSettings(Group):
    """What to train on."""

    path_prefix = "data."

    path: Annotated[str, tyro.conf.arg(aliases=["--data"])] = SHAPES
    """`shapes` (pictures made on the fly) or a folder: Pascal VOC, COCO or masks, recognised by its layout."""
    also: tuple[str, ...] = ()
    """More folders, of any known layout, mixed with path's under one class map."""
    sampling: Literal["each", "repeat", "weighted"] = "each"
    """`each` picture once an epoch; `repeat` pictures of rare classes (LVIS's repeat factors); `weighted`: as many as
    there are, chosen so that rare classes come more nearly as often as frequent ones."""
    repeat_threshold: float = Field(0.1, gt=0, le=1)
    """With `repeat`: classes on less than this share of the pictures are repeated. LVIS, with 100,000, has 0.001."""
    image_size: Annotated[int, tyro.conf.arg(aliases=["--image-size"])] = Field(320, ge=32)
    """Detection: the short side in pixels, the long side at most 1.5 times that. Segmentation: the crop's side."""
    batch_size: Annotated[int, tyro.conf.arg(aliases=["--batch-size"])] = Field(4, ge=1)
    """Pictures a step."""
    workers: int = Field(1, ge=0)
    """Processes that read pictures; any number gives the same run."""
    augment: str = "light"
    """none, light (mirrors), flips (upside down as well), strong (colours, blur, scale), for detection also jitter
    (large-scale) and mosaic; or a YAML file of albumentations transforms."""
    fit: Literal["crop", "resize"] = "crop"
    """Segmentation: `crop` leaves pictures at their scale, `resize` scales their short side to image_size first."""
    balanced_crops: bool = False
    """Segmentation: centre crops on the classes in turn, so that rare ones are seen."""
    classes: tuple[str, ...] = ()
    """Folders of masks: the names of the values 0, 1, ... Without: those of classes.txt, or the values found."""
    ignore_index: int | None = Field(None, ge=0, le=65535)
    """Folders of masks: a value that counts nowhere, besides 255."""
    val_fraction: float = Field(0.2, gt=0, lt=1)
    """The share of train that becomes val where the folder has none."""
    split_seed: int = Field(0, ge=0)
    """Which pictures those are."""
    voc_one_based: bool = False
    """Pascal VOC coordinates count from 1, as in the original challenge; labelImg's count from 0."""
    count: int = Field(700, ge=1)
    """How many pictures of shapes to train on; a tenth as many validate."""


class BackboneSettings(Group):
    """The network under the head."""

    path_prefix = "backbone."

    name: Annotated[str, tyro.conf.arg(aliases=["--backbone"])] = "resnet50"
    """A registered name, such as resnet18, or timm/<model>; tools/describe.py --all lists them."""
    weights: Annotated[str | None, tyro.conf.arg(aliases=["--weights"])] = None
    """`imagenet` (the backbone's) or a torchvision detector's name (fasterrcnn_resnet50_fpn, ...), both downloaded; a
    .safetensors or .pth file of either; or a run. None trains from scratch."""
    freeze: Annotated[str, tyro.conf.arg(aliases=["--freeze"])] = "0"
    """Stages held still, from the stem on: 3 or 1-3."""
    norm: Annotated[str, tyro.conf.arg(aliases=["--norm"])] = "batch"
    """batch | sync | group | instance | frozen."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Stochastic depth: the chance of dropping the last block, rising linearly from 0."""
    output_stride: Literal[8, 16, 32] | None = None
    """Dilate the last stages instead of striding. None: as the head needs it (deeplabv3, pspnet 8; pan, deeplabv3plus
    16; otherwise 32)."""
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


class HeadSettings(Group):
    """The task's part."""

    path_prefix = "head."

    name: Annotated[Head, tyro.conf.arg(aliases=["--head"])] = "faster_rcnn"
    """Detection: faster_rcnn, mask_rcnn, retinanet, fcos. Segmentation: unet, unetplusplus, manet, linknet, fpn,
    pspnet, pan, deeplabv3, deeplabv3plus, upernet."""
    channels: int = Field(256, ge=1)
    """Width: of every pyramid level (the detectors, fpn), or of the decoder (deeplabv3, deeplabv3plus, upernet)."""
    representation: int = Field(1024, ge=1)
    """Width of the box head's two hidden layers."""
    v2: bool = False
    """torchvision's stronger recipe: norms in the pyramid, two convolutions in the RPN, four in the box head."""
    anchor_scale: float | None = Field(None, ge=1)
    """Side of the square anchor in strides of its level. None: 8 (32 px on p2 to 512 px on p6); retinanet 4 (32 px on
    p3)."""
    rois_per_image: int = Field(512, ge=1)
    """Proposals a picture that the box head trains on."""
    score_threshold: float = Field(0.05, ge=0, lt=1)
    """Detections below are not kept."""
    detections_per_image: int = Field(100, ge=1)
    """At most so many are kept."""
    decoder_channels: tuple[int, ...] = Field((256, 128, 64, 32, 16), min_length=3, max_length=5)
    """Widths of the decoder's levels, coarsest first; how many there are is the depth, 3 to 5."""
    attention: Literal["none", "scse"] = "none"
    """Of the decoder: scse weighs channels and places (Roy et al. 2018)."""
    center: bool = False
    """Two more convolutions on the backbone's coarsest level."""
    deep_supervision: bool = False
    """Train a head on every level of the decoder, with weights 1, 1/2, 1/4, ... that sum to 1."""
    loss: str = "cross_entropy + dice"
    """A sum of cross_entropy, bce, dice, focal, lovasz, tversky, each perhaps with a weight: 0.5 * dice."""
    class_weights: tuple[float, ...] = ()
    """Of cross-entropy, one a class."""
    balance_classes: bool = False
    """Weigh cross-entropy by how rare the classes are in train (median frequency), instead of class_weights."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Of cross-entropy."""
    window: int | None = Field(None, ge=32)
    """Predict window by window of this side in pixels, for pictures larger than memory allows."""
    overlap: float = Field(0.5, ge=0, lt=1)
    """How much of a window the next one covers again."""
    mirror: bool = False
    """Predict the mirror image too and take the mean."""
    boundary_tolerance: float | None = Field(None, ge=0)
    """Also report the boundary Dice: the share of outlines that run within so many pixels of the true ones."""


class OptimSettings(Group):
    """How a step is taken."""

    path_prefix = "optim."

    name: Literal["sgd", "adamw"] = "sgd"
    """sgd (momentum 0.9) or adamw."""
    lr: Annotated[float, tyro.conf.arg(aliases=["--lr"])] = Field(0.01, gt=0)
    """Highest learning rate, after warmup."""
    weight_decay: float = Field(1e-4, ge=0)
    """On weights of two and more dimensions; norms and biases have none."""
    clip_norm: float = Field(10.0, gt=0)
    """Longest gradient; longer ones are scaled down."""


class ScheduleSettings(Group):
    """How long, and how the learning rate goes."""

    path_prefix = "schedule."

    epochs: Annotated[int, tyro.conf.arg(aliases=["--epochs"])] = Field(10, ge=1)
    """Passes over the training set."""
    warmup_steps: int = Field(50, ge=0)
    """Steps of linear warmup, at most a tenth of the run; then a cosine down to zero."""


class Settings(Group):
    """Everything a run needs; written to its config.yaml."""

    task: Literal["detection", "segmentation"] = "detection"
    """What to learn: boxes around objects, or a class for every pixel."""
    config: str | None = None
    """A YAML file of settings; flags win over it."""
    data: DataSettings = DataSettings()
    backbone: BackboneSettings = BackboneSettings()
    head: HeadSettings = HeadSettings()
    optim: OptimSettings = OptimSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 computes convolutions in bfloat16; weights, boxes and losses stay in fp32."""
    seed: int = Field(0, ge=0, lt=2**63)
    """The same seed gives the same run."""
    output: str | None = None
    """The run's folder. None: runs/<task>-<backbone>-<time>."""
    resume: bool = False
    """Continue the run in --output from its own config.yaml."""
    save_every: int | None = Field(None, ge=1)
    """Write last/ every so many steps, besides after every epoch."""
    verify_freeze: bool = False
    """At the end, compare every frozen tensor bit for bit with what it was."""
    evaluator: Literal["hotcoco", "pycocotools"] = "hotcoco"
    """Who computes the COCO metrics."""

    @model_validator(mode="after")
    def _check_head(self) -> Self:
        head, heads = self.head, HEADS[self.task]
        if head.name not in heads:
            raise SettingsError(f"head.name: {head.name!r} is not for {self.task} (for it: {', '.join(heads)})")
        for name, field in type(head).model_fields.items():
            known = name == "name" or name in SETTINGS_OF[head.name]
            if not known and getattr(head, name) != field.default:
                raise SettingsError(f"head.{name}: {head.name} has no such setting")
        if self.backbone.output_stride not in (None, *(strides := OUTPUT_STRIDES[head.name])):
            wanted = " or ".join(map(str, strides))
            raise SettingsError(f"backbone.output_stride: {self.backbone.output_stride}: {head.name} takes {wanted}")
        return self
