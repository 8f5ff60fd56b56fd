"""torchvision's detector parts where they need a change: precision, crowds, and several processes."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss, maskrcnn_loss
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
        examples = _Examples.of(
            [self._examples(boxes, target) for boxes, target in zip(proposals, targets, strict=True)]
        )
        pooled = self.box_head(self.box_roi_pool(features, examples.boxes, image_shapes))
        losses = self._box_losses(pooled, examples, targets)
        if self.has_mask():
            on_objects = examples.on_objects()
            pooled = self.mask_head(self.mask_roi_pool(features, on_objects.boxes, image_shapes))
            losses["loss_mask"] = self._mask_loss(pooled, on_objects, targets)
        return [], losses

    def _examples(self, proposals: Tensor, target: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """What an image is learnt from, its objects' own boxes among it."""
        own = target["boxes"].to(proposals.dtype)
        (boxes,) = self.add_gt_proposals([self._outside_crowds(proposals, target)], [own])
        (matched,), (labels,) = self.assign_targets_to_proposals([boxes], [own], [target["labels"]])
        kept = self.fg_bg_sampler(labels, target.get("seed", 0), boxes)
        return boxes[kept], labels[kept], matched[kept]

    def _box_losses(self, pooled: Tensor, examples: "_Examples", targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """torchvision's, over the sampled boxes of all processes."""
        logits, offsets = self.box_predictor(pooled)
        count = len(logits)
        if count:
            objects = [
                target["boxes"][one] if len(target["boxes"]) else torch.zeros_like(boxes)
                for target, one, boxes in zip(targets, examples.matched, examples.boxes, strict=True)
            ]
            wanted = self.box_coder.encode(objects, examples.boxes)
            classification, regression = fastrcnn_loss(logits, offsets, examples.labels, wanted)
        else:  # a mean over none is no number
            classification, regression = logits.sum(), offsets.sum()
        return {
            "loss_classifier": mean_over_processes(classification * count, count),
            "loss_box_reg": mean_over_processes(regression * count, count),
        }

    def _mask_loss(self, pooled: Tensor, examples: "_Examples", targets: list[dict[str, Any]]) -> Tensor:
        """torchvision's, over the boxes on objects of all processes."""
        logits = self.mask_predictor(pooled)
        masks, labels = ([target[name] for target in targets] for name in ("masks", "labels"))
        loss = maskrcnn_loss(logits, examples.boxes, masks, labels, examples.matched)
        return mean_over_processes(loss * len(logits), len(logits))

    def _outside_crowds(self, boxes: Tensor, target: dict[str, Tensor]) -> Tensor:
        if not len(target["crowd_boxes"]):
            return boxes
        ignored = in_crowd(boxes, target["crowd_boxes"])
        if len(target["boxes"]):
            ignored &= box_iou(boxes, target["boxes"]).amax(dim=1) < self.proposal_matcher.high_threshold
        return boxes[~ignored]


@dataclass(frozen=True)
class _Examples:
    """What the heads learn from, an entry an image.

    Attributes:
        boxes: (n, 4).
        labels: (n,), 0 of the background.
        matched: (n,), the object that each is on.
    """

    boxes: list[Tensor]
    labels: list[Tensor]
    matched: list[Tensor]

    @classmethod
    def of(cls, images: list[tuple[Tensor, Tensor, Tensor]]) -> "_Examples":
        return cls(*(list(values) for values in zip(*images, strict=True)))

    def on_objects(self) -> "_Examples":
        found = [label > 0 for label in self.labels]
        return _Examples(
            *(
                [value[on] for value, on in zip(values, found, strict=True)]
                for values in (self.boxes, self.labels, self.matched)
            )
        )


def in_crowd(boxes: Tensor, crowds: Tensor) -> Tensor:
    """(n, 4), (m, 4) -> (n,) bool: more than half of the box lies in one of the crowd regions.

    That share of the box's own area is also what COCO's evaluation takes for crowds.
    """
    top_left = torch.maximum(boxes[:, None, :2], crowds[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], crowds[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return (intersection > _IN_CROWD * area[:, None]).any(dim=1)
