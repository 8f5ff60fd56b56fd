"""RetinaNet (Lin et al. 2017, "Focal loss for dense object detection")."""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tasks.config import DetectorSettings, HeadName, PublishedDetector

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(DetectorSettings):
    """Boxes in one stage, from anchors."""

    class_layers: ClassVar = ("head.classification_head.cls_logits.",)
    published: ClassVar = {"retinanet_resnet50_fpn": PublishedDetector(zero_eps=True)}

    name: HeadName = "retinanet"
    anchor_scale: float = Field(4.0, ge=1)
    """Side of the square anchor in strides of its level: 32 px on p3 to 512 px on p7."""

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from tasks.detection import retinanet

        return retinanet(backbone, num_classes, **self.model_dump(exclude={"name"}))
