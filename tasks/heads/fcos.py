"""FCOS (Tian et al. 2019)."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tasks.config import DetectorSettings, HeadName, PublishedDetector

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(DetectorSettings):
    """Boxes in one stage, without anchors."""

    class_layers: ClassVar = ("head.classification_head.cls_logits.",)
    published: ClassVar = {"fcos_resnet50_fpn": PublishedDetector()}

    name: HeadName = "fcos"
    topk_candidates: int = Field(1000, ge=1)
    """Detections of a level that are kept before non-maximum suppression."""
    nms_thresh: float = Field(0.6, gt=0, le=1)
    """IoU above which the weaker of two detections of a class is dropped."""
    center_sampling_radius: float = Field(1.5, gt=0)
    """How far from an object's centre, in strides, a cell may lie that learns it."""
    focal_alpha: float = Field(0.25, ge=0, le=1)
    """Of the loss: the weight of objects, against 1 - alpha of the background."""
    focal_gamma: float = Field(2.0, ge=0)
    """Of the loss: how little counts what is right already."""

    @property
    def levels(self) -> tuple[str, ...]:
        return ("c3", "c4", "c5")

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from tasks.detection import fcos

        return fcos(backbone, num_classes, **self.model_dump(exclude={"name"}))
