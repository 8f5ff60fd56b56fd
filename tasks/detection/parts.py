"""torchvision's detector parts where they need a change: precision and crowds."""

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import box_iou

_IN_CROWD = 0.5


class Float32Anchors(AnchorGenerator):
    """torchvision makes anchors in the features' dtype; bfloat16 would round 301 px to 302."""

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        shapes = [level.new_zeros((), dtype=torch.float32).expand(level.shape) for level in feature_maps]
        return super().forward(image_list, shapes)


class Float32RPNHead(RPNHead):
    """Boxes are decoded, ranked and scored in float32 whatever the convolutions computed in."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = super().forward(x)
        return [level.float() for level in logits], [level.float() for level in deltas]


class Float32Predictor(FastRCNNPredictor):
    """Boxes are decoded, ranked and scored in float32 whatever the layers computed in."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits, deltas = super().forward(x)
        return logits.float(), deltas.float()


class Float32MaskPredictor(MaskRCNNPredictor):
    """Masks are scored in float32 whatever the layers computed in."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


class CrowdAwareRPN(RegionProposalNetwork):
    """Anchors in a crowd region are ignored: they are neither objects nor background."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        labels, matched = super().assign_targets_to_anchors(anchors, targets)
        for boxes, target, label in zip(anchors, targets, labels, strict=True):
            if len(target["crowd_boxes"]):
                label[(label == 0) & in_crowd(boxes, target["crowd_boxes"])] = -1
        return labels, matched

    def compute_loss(
        self, objectness: Tensor, pred_bbox_deltas: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        if not any((label >= 0).any() for label in labels):
            # torchvision divides by the number of examples
            return objectness.sum() * 0, pred_bbox_deltas.sum() * 0
        return super().compute_loss(objectness, pred_bbox_deltas, labels, regression_targets)


class CrowdAwareRoIHeads(RoIHeads):
    """Proposals in a crowd region are ignored, except those on an object."""

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        if self.training and targets is not None:
            proposals = [self._outside_crowds(boxes, target) for boxes, target in zip(proposals, targets, strict=True)]
            if not any(len(boxes) + len(target["boxes"]) for boxes, target in zip(proposals, targets, strict=True)):
                # Nothing to learn from, and torchvision divides by the number of examples.
                zero = torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0
                losses = {"loss_classifier": zero, "loss_box_reg": zero}
                return [], losses | ({"loss_mask": zero} if self.has_mask() else {})
        return super().forward(features, proposals, image_shapes, targets)

    def _outside_crowds(self, boxes: Tensor, target: dict[str, Tensor]) -> Tensor:
        if not len(target["crowd_boxes"]):
            return boxes
        ignored = in_crowd(boxes, target["crowd_boxes"])
        if len(target["boxes"]):
            ignored &= box_iou(boxes, target["boxes"]).amax(dim=1) < self.proposal_matcher.high_threshold
        return boxes[~ignored]


def in_crowd(boxes: Tensor, crowds: Tensor) -> Tensor:
    """(n, 4), (m, 4) -> (n,) bool: more than half of the box lies in one of the crowd regions.

    That share of the box's own area is also what COCO's evaluation takes for crowds.
    """
    top_left = torch.maximum(boxes[:, None, :2], crowds[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], crowds[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return (intersection > _IN_CROWD * area[:, None]).any(dim=1)
