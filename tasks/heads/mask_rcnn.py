"""Mask R-CNN (He et al. 2017): Faster R-CNN that also finds a mask for every object."""

from typing import TYPE_CHECKING, ClassVar

from tasks.config import HeadName, PublishedDetector, RegionSettings

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(RegionSettings):
    """Boxes in two stages, and a mask for each."""

    annotations: ClassVar = "polygons"
    class_layers: ClassVar = ("roi_heads.box_predictor.", "roi_heads.mask_predictor.mask_fcn_logits.")
    published: ClassVar = {
        "maskrcnn_resnet50_fpn": PublishedDetector(zero_eps=True),
        "maskrcnn_resnet50_fpn_v2": PublishedDetector({"v2": True}),
    }

    name: HeadName = "mask_rcnn"

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from tasks.detection import mask_rcnn

        return mask_rcnn(backbone, num_classes, norm=norm, **self.model_dump(exclude={"name"}))
