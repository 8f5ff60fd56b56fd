"""Faster R-CNN with a feature pyramid (Ren et al. 2015; Lin et al. 2017, "Feature pyramid networks", section 4)."""

from typing import TYPE_CHECKING, ClassVar

from tasks.config import HeadName, PublishedDetector, RegionSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(RegionSettings):
    """Boxes in two stages: proposals, then classes."""

    class_layers: ClassVar = ("roi_heads.box_predictor.",)
    published: ClassVar = {
        "fasterrcnn_resnet50_fpn": PublishedDetector(zero_eps=True),
        "fasterrcnn_resnet50_fpn_v2": PublishedDetector({"v2": True}),
    }

    name: HeadName = "faster_rcnn"

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from tasks.detection import faster_rcnn

        return faster_rcnn(backbone, num_classes, norm=norm, **self.model_dump(exclude={"name"}))
