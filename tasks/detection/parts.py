"""torchvision's detector parts where they need a change: precision, crowds, and several processes."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads, project_masks_on_boxes
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import box_iou

from tasks.detection.sampling import SeededSampler
from tasks.processes import mean_over_processes

_IN_CROWD = 0.5
_BETA = 1 / 9  # of the boxes' smooth L1 losses, as in torchvision


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
    """Anchors in a crowd region are ignored: they are neither objects nor background. Which of the others are learnt
    from depends on the image's own seed."""

    fg_bg_sampler: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        sampler = self.fg_bg_sampler
        self.fg_bg_sampler = SeededSampler(sampler.batch_size_per_image, sampler.positive_fraction, stream=0)

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Any]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """As torchvision's, with -1 for anchors that are not sampled too."""
        labels, matched = super().assign_targets_to_anchors(anchors, targets)
        for boxes, target, label in zip(anchors, targets, labels, strict=True):
            if len(target["crowd_boxes"]):
                label[(label == 0) & in_crowd(boxes, target["crowd_boxes"])] = -1
            label.masked_fill_(~self.fg_bg_sampler(label, target.get("seed", 0)), -1)
        return labels, matched

    def compute_loss(
        self, objectness: Tensor, pred_bbox_deltas: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """torchvision's, over the sampled anchors of all processes."""
        label, wanted = torch.cat(labels), torch.cat(regression_targets)
        found, sampled = label >= 1, label >= 0
        logits, offsets = objectness.flatten()[sampled], pred_bbox_deltas[found]
        classification = functional.binary_cross_entropy_with_logits(logits, label[sampled], reduction="sum")
        regression = functional.smooth_l1_loss(offsets, wanted[found], beta=_BETA, reduction="sum")
        return mean_over_processes(classification, len(logits)), mean_over_processes(regression, len(logits))


class CrowdAwareRoIHeads(RoIHeads):
    """Proposals in a crowd region are ignored, except those on an object. Which of the others are learnt from depends
    on the image's own seed."""

    fg_bg_sampler: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        sampler = self.fg_bg_sampler
        self.fg_bg_sampler = SeededSampler(sampler.batch_size_per_image, sampler.positive_fraction, stream=1)

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Any]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        if not self.training or targets is None:
            return super().forward(features, proposals, image_shapes, targets)
        examples = [self._examples(boxes, target) for boxes, target in zip(proposals, targets, strict=True)]
        boxes, labels, matched = (list(values) for values in zip(*examples, strict=True))
        losses = self._box_losses(features, boxes, labels, matched, image_shapes, targets)
        if self.has_mask():
            losses["loss_mask"] = self._mask_loss(features, boxes, labels, matched, image_shapes, targets)
        return [], losses

    def _examples(self, proposals: Tensor, target: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes of an image to learn from, objects' own among them, with their labels and the objects' positions."""
        own = target["boxes"].to(proposals.dtype)
        (boxes,) = self.add_gt_proposals([self._outside_crowds(proposals, target)], [own])
        (matched,), (labels,) = self.assign_targets_to_proposals([boxes], [own], [target["labels"]])
        kept = self.fg_bg_sampler(labels, target.get("seed", 0), boxes)
        return boxes[kept], labels[kept], matched[kept]

    def _box_losses(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        labels: list[Tensor],
        matched: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Any]],
    ) -> dict[str, Tensor]:
        """torchvision's `fastrcnn_loss`, over the sampled boxes of all processes."""
        logits, offsets = self.box_predictor(self.box_head(self.box_roi_pool(features, boxes, image_shapes)))
        label = torch.cat(labels)
        objects = [
            target["boxes"][one] if len(target["boxes"]) else boxes[0].new_zeros(len(one), 4)
            for target, one in zip(targets, matched, strict=True)
        ]
        wanted = torch.cat(self.box_coder.encode(objects, boxes))
        found = torch.where(label > 0)[0]
        regression = offsets.reshape(len(label), logits.shape[1], 4)[found, label[found]]
        return {
            "loss_classifier": mean_over_processes(
                functional.cross_entropy(logits, label, reduction="sum"), len(label)
            ),
            "loss_box_reg": mean_over_processes(
                functional.smooth_l1_loss(regression, wanted[found], beta=_BETA, reduction="sum"), len(label)
            ),
        }

    def _mask_loss(
        self,
        features: dict[str, Tensor],
        boxes: list[Tensor],
        labels: list[Tensor],
        matched: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Any]],
    ) -> Tensor:
        """torchvision's `maskrcnn_loss`, over the boxes on objects of all processes."""
        found = [label > 0 for label in labels]
        boxes, labels, matched = (
            [value[kept] for value, kept in zip(values, found, strict=True)] for values in (boxes, labels, matched)
        )
        logits = self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, image_shapes)))
        label, side = torch.cat(labels), logits.shape[-1]
        wanted = [
            project_masks_on_boxes(target["masks"], own, one, side) if len(one) else own.new_zeros(0, side, side)
            for target, own, one in zip(targets, boxes, matched, strict=True)
        ]
        chosen = logits[torch.arange(len(label), device=label.device), label]
        total = functional.binary_cross_entropy_with_logits(chosen, torch.cat(wanted), reduction="sum")
        return mean_over_processes(total, chosen.numel())

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
