"""What the settings of every head are made of; `tasks.heads` has a file for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

import tyro
from pydantic import Field, model_validator

from tasks.config.group import NamedGroup, SettingsError, refuse_unused
from tasks.config.losses import parse_loss

# What a head learns from: boxes alone, boxes with polygons (or masks) of single objects, masks of whole images, or a
# class for each image.
Annotations = Literal["boxes", "polygons", "masks", "labels"]
Ratio = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
HeadName = Annotated[str, tyro.conf.arg(aliases=["--head"], help="Which head; --task decides which there are.")]


@dataclass(frozen=True)
class PublishedDetector:
    """A detector whose weights torchvision publishes.

    Attributes:
        settings: of the head that takes them, as far as they differ from its defaults.
        zero_eps: its norms divide by sqrt(var), not by sqrt(var + eps): torchvision's `overwrite_eps`.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    zero_eps: bool = False


class HeadSettings(NamedGroup):
    """The task's part of a model. A head is a subclass with its settings, what it says of itself, and `build`.

    Attributes:
        task: that it is for.
        annotations: what it learns from; one that learns from polygons finds a mask for every object.
        holds_norms: whether the running statistics of pretrained weights are held, where the settings do not say.
        output_strides: of the backbone, that it can work with; the first one is what it takes by itself.
        backbone_prefix: where the backbone's tensors are in the model's state dict.
        class_layers: prefixes of the tensors that have a row for every class.
        published: torchvision's names of weights for the whole model.
    """

    path_prefix = "head."
    task: ClassVar[str] = ""
    annotations: ClassVar[Annotations]
    holds_norms: ClassVar[bool] = False
    output_strides: ClassVar[tuple[int, ...]] = (32,)
    backbone_prefix: ClassVar[str]
    class_layers: ClassVar[tuple[str, ...]]
    published: ClassVar[Mapping[str, PublishedDetector]] = {}

    name: HeadName = ""

    @property
    def levels(self) -> tuple[str, ...]:
        """Of the backbone, that it takes, finest first; c1 may be missing there. None named: all that there are."""
        return ()

    def levels_of(self, available: Sequence[str]) -> tuple[str, ...]:
        """Those that it takes of the levels that a backbone has, finest first."""
        return tuple(level for level in available if level in self.levels) if self.levels else tuple(available)

    @property
    def finds_masks(self) -> bool:
        """Whether it learns and finds a mask for every object."""
        return self.annotations == "polygons"

    def build(self, backbone: Any, num_classes: int, norm: str) -> Any:
        """Put the head on a backbone.

        Args:
            backbone: a `backbones.Backbone`.
            num_classes: in detection without the background.
            norm: of the head, where it has norms; the backbone was made with the same.

        Returns:
            The network, a torch module.
        """
        raise NotImplementedError


def check_order(head: HeadSettings, lower: str, upper: str) -> None:
    """Raise where one setting is above another that bounds it."""
    if getattr(head, lower) > getattr(head, upper):
        raise SettingsError(f"head.{lower}: {getattr(head, lower)}: is above head.{upper}, {getattr(head, upper)}")


class DetectorSettings(HeadSettings):
    """What every detector has."""

    task: ClassVar[str] = "detection"
    annotations: ClassVar[Annotations] = "boxes"
    holds_norms: ClassVar[bool] = True
    backbone_prefix: ClassVar[str] = "backbone.body."

    channels: int = Field(256, ge=1)
    """Width of every pyramid level."""
    score_threshold: float = Field(0.05, ge=0, lt=1)
    """Detections below are not kept."""
    detections_per_image: int = Field(100, ge=1)
    """At most so many are kept."""


class RegionSettings(DetectorSettings):
    """What Faster and Mask R-CNN have."""

    representation: int = Field(1024, ge=1)
    """Width of the box head's two hidden layers, or of v2's one."""
    v2: bool = False
    """torchvision's stronger variant: norms in the pyramid, two convolutions in the RPN, four in the box head."""
    anchor_scale: float = Field(8.0, ge=0.25)
    """Side of the square anchor in strides of its level: 32 px on p2 to 512 px on p6."""
    rois_per_image: int = Field(512, ge=1)
    """Proposals an image that the box head trains on."""
    aspect_ratios: tuple[Ratio, ...] = Field((0.5, 1.0, 2.0), min_length=1)
    """Heights of the anchors over their widths."""
    rpn_pre_nms_top_n_train: int = Field(2000, ge=1)
    """Proposals of a level that are kept before non-maximum suppression, in training."""
    rpn_pre_nms_top_n_test: int = Field(1000, ge=1)
    """The same, in prediction."""
    rpn_post_nms_top_n_train: int = Field(2000, ge=1)
    """Proposals of an image that are kept after non-maximum suppression, in training."""
    rpn_post_nms_top_n_test: int = Field(1000, ge=1)
    """The same, in prediction."""
    rpn_nms_thresh: float = Field(0.7, gt=0, le=1)
    """IoU above which the weaker of two proposals is dropped."""
    rpn_fg_iou_thresh: float = Field(0.7, gt=0, le=1)
    """IoU from which an anchor is an object."""
    rpn_bg_iou_thresh: float = Field(0.3, ge=0, le=1)
    """IoU below which an anchor is background."""
    box_nms_thresh: float = Field(0.5, gt=0, le=1)
    """IoU above which the weaker of two detections of a class is dropped."""
    box_fg_iou_thresh: float = Field(0.5, gt=0, le=1)
    """IoU from which a proposal is an object."""
    box_bg_iou_thresh: float = Field(0.5, ge=0, le=1)
    """IoU below which a proposal is background."""

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c2", "c3", "c4", "c5")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        check_order(self, "rpn_bg_iou_thresh", "rpn_fg_iou_thresh")
        check_order(self, "box_bg_iou_thresh", "box_fg_iou_thresh")
        return self


_OF_LOSSES = {
    "cross_entropy": ("class_weights", "balance_classes", "label_smoothing"),
    "focal": ("focal_alpha", "focal_gamma"),
    "tversky": ("tversky_beta",),
}


class SegmenterSettings(HeadSettings):
    """What every segmenter has."""

    task: ClassVar[str] = "segmentation"
    annotations: ClassVar[Annotations] = "masks"
    backbone_prefix: ClassVar[str] = "net.backbone."
    class_layers: ClassVar[tuple[str, ...]] = ("net.segmentation_head.",)

    loss: str = "cross_entropy + dice"
    """A sum of cross_entropy, bce, dice, focal, lovasz, tversky, each perhaps with a weight: 0.5 * dice."""
    class_weights: tuple[Weight, ...] = ()
    """Of cross_entropy, one a class."""
    balance_classes: bool = False
    """Weigh cross_entropy by how rare the classes are in train (median frequency), instead of class_weights."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Of cross_entropy."""
    focal_alpha: float | None = Field(None, ge=0, le=1)
    """Of focal: the weight of a class where it is, against 1 - alpha where it is not. None: equal weights of 1."""
    focal_gamma: float = Field(2.0, ge=0)
    """Of focal: how little pixels count that are right already."""
    tversky_beta: float = Field(0.7, ge=0, le=1)
    """Of tversky: the weight of misses; false alarms have the rest."""
    window: int | None = Field(None, ge=32)
    """Predict window by window of this side in pixels, for images larger than memory allows."""
    overlap: float = Field(0.5, ge=0, lt=1)
    """How much of a window the next one covers again."""
    mirror: bool = False
    """Predict the mirror image too and take the mean."""
    boundary_tolerance: float | None = Field(None, ge=0)
    """Also report the boundary Dice: the share of boundaries that run within so many pixels of the true ones."""

    @model_validator(mode="after")
    def _check_use(self) -> Self:
        terms = parse_loss(self.loss)
        for loss, names in _OF_LOSSES.items():
            if loss not in terms:
                for name in names:
                    refuse_unused(self, name, f"is of {loss}, which head.loss, {self.loss!r}, has not")
        if self.window is None:
            refuse_unused(self, "overlap", "is of head.window, which is not set")
        if self.class_weights and self.balance_classes:
            raise SettingsError("head.balance_classes: finds the weights of the classes; leave out head.class_weights")
        return self


class UNetSettings(SegmenterSettings):
    """What decoders in the shape of a U have."""

    decoder_channels: tuple[int, ...] = Field((256, 128, 64, 32, 16), min_length=3, max_length=5)
    """Widths of the decoder's levels, coarsest first; how many there are is the depth, 3 to 5."""

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c1", "c2", "c3", "c4", "c5")[: len(self.decoder_channels)]


Attention = Literal["none", "scse"]


class ClassifierSettings(HeadSettings):
    """What every classifier has."""

    task: ClassVar[str] = "classification"
    annotations: ClassVar[Annotations] = "labels"
    backbone_prefix: ClassVar[str] = "net.backbone."
    class_layers: ClassVar[tuple[str, ...]] = ("net.fc.",)

    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """The share of a label that goes to all classes alike (Szegedy et al. 2016, section 7)."""
    mixup: float = Field(0.0, ge=0)
    """Alpha of mixup (Zhang et al. 2018): each image is mixed with another of its batch; 0.2 is usual. 0: none."""
    cutmix: float = Field(0.0, ge=0)
    """Alpha of CutMix (Yun et al. 2019): each image gets a box of another; 1.0 is usual. With mixup too, one of the two
    is chosen for each batch."""

    def levels_of(self, available: Sequence[str]) -> tuple[str, ...]:
        return tuple(available[-1:])
