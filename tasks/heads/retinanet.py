"""RetinaNet (Lin et al. 2017, "Focal loss for dense object detection")."""

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from tasks.config import DetectorSettings, HeadName, PublishedDetector, Ratio, check_order

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(DetectorSettings):
    """Boxes in one stage, from anchors."""

    class_layers: ClassVar = ("head.classification_head.cls_logits.",)
    published: ClassVar = {"retinanet_resnet50_fpn": PublishedDetector(zero_eps=True)}

    name: HeadName = "retinanet"
    anchor_scale: float = Field(4.0, ge=0.25)
    """Side of the square anchor in strides of its level: 32 px on p3 to 512 px on p7."""
    aspect_ratios: tuple[Ratio, ...] = Field((0.5, 1.0, 2.0), min_length=1)
    """Heights of the anchors over their widths."""
    topk_candidates: int = Field(1000, ge=1)
    """Detections of a level that are kept before non-maximum suppression."""
    nms_thresh: float = Field(0.5, gt=0, le=1)
    """IoU above which the weaker of two detections of a class is dropped."""
    fg_iou_thresh: float = Field(0.5, gt=0, le=1)
    """IoU from which an anchor is an object."""
    bg_iou_thresh: float = Field(0.4, ge=0, le=1)
    """IoU below which an anchor is background."""
    focal_alpha: float = Field(0.25, ge=0, le=1)
    """Of the loss: the weight of objects, against 1 - alpha of the background."""
    focal_gamma: float = Field(2.0, ge=0)
    """Of the loss: how little counts what is right already."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        check_order(self, "bg_iou_thresh", "fg_iou_thresh")
        return self

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c3", "c4", "c5")

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from tasks.detection import retinanet

        return retinanet(backbone, num_classes, **self.model_dump(exclude={"name"}))
