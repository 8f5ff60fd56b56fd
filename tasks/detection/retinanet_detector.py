"""RetinaNet (Lin et al. 2017, "Focal loss for dense object detection") on all images of a batch at once."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.retinanet import RetinaNetHead

from tasks.detection.coding import decode, encode
from tasks.detection.matching import BACKGROUND, BETWEEN, in_crowd, match
from tasks.detection.objects import Objects
from tasks.detection.one_stage_detector import FocalHead, OneStageDetector, found_rows
from tasks.processes import mean_over_processes


class FocalRetinaNetHead(FocalHead, RetinaNetHead):
    """torchvision's head with that loss."""


class BatchedRetinaNet(OneStageDetector, RetinaNet):
    """torchvision's, with its losses and detections. Anchors in a crowd region are ignored: they are neither objects
    nor background."""

    def losses(
        self, outputs: dict[str, Tensor], anchors: Tensor, counts: Sequence[int], objects: Objects
    ) -> dict[str, Tensor]:
        matcher = self.proposal_matcher
        matches, _ = match(objects, anchors, matcher.high_threshold, matcher.low_threshold, low_quality=True)
        if objects.crowds.shape[1]:
            matches = matches.masked_fill((matches == BACKGROUND) & in_crowd(anchors, objects.crowds), BETWEEN)
        boxes, labels = objects.matched_by(matches)
        number = (matches >= 0).sum(1).clamp(min=1)
        labels = labels.masked_fill(matches < 0, 0)
        classification = self.head.classification(outputs["cls_logits"], labels, matches == BETWEEN, objects)
        return {
            "classification": mean_over_processes((classification / number).sum(), len(matches)),
            "bbox_regression": mean_over_processes(
                self._regression(outputs["bbox_regression"], anchors, matches, boxes, number), len(matches)
            ),
        }

    def _regression(self, codes: Tensor, anchors: Tensor, matches: Tensor, boxes: Tensor, number: Tensor) -> Tensor:
        rows = found_rows(matches)
        image = torch.div(rows, len(anchors), rounding_mode="floor")
        wanted = encode(boxes.flatten(0, 1)[rows], anchors[rows % len(anchors)])
        distance = (codes.flatten(0, 1)[rows] - wanted).abs().sum(1)
        return (distance / number[image]).sum()

    def scores(self, outputs: dict[str, Tensor]) -> Tensor:
        return outputs["cls_logits"].sigmoid()

    def decoded(self, codes: Tensor, anchors: Tensor) -> Tensor:
        return decode(codes, anchors)
