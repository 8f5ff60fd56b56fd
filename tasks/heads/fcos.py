"""FCOS (Tian et al. 2019)."""

from typing import TYPE_CHECKING, ClassVar

from tasks.config import DetectorSettings, HeadName, PublishedDetector

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(DetectorSettings):
    """Boxes in one stage, without anchors."""

    class_layers: ClassVar = ("head.classification_head.cls_logits.",)
    published: ClassVar = {"fcos_resnet50_fpn": PublishedDetector()}

    name: HeadName = "fcos"

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from tasks.detection import fcos

        return fcos(backbone, num_classes, **self.model_dump(exclude={"name"}))
