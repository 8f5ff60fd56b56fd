"""The heads that look at proposals (Girshick 2015; He et al. 2017), on all images of a batch at once."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection.roi_heads import RoIHeads

from tasks.detection.coding import clipped, decode, encode, has_sides_of, limits_of
from tasks.detection.mask_targets import mask_targets
from tasks.detection.matching import BACKGROUND, in_crowd, match
from tasks.detection.objects import Objects
from tasks.detection.regions import Regions
from tasks.detection.rpn import BETA, Proposals
from tasks.detection.sampling import SeededSampler
from tasks.detection.suppression import best_detections
from tasks.processes import mean_over_processes

_LEAST_SIDE = 1e-2  # of a detection, in pixels, as in torchvision


class BatchedRoIHeads(RoIHeads):
    """torchvision's, with its detections and losses. Proposals in a crowd region are ignored, except those on an
    object. Which of the others are learnt from depends on the image's own seed."""

    fg_bg_sampler: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fg_bg_sampler = SeededSampler.instead_of(self.fg_bg_sampler, stream=1)

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: Proposals,
        image_shapes: list[tuple[int, int]],
        objects: Objects | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Detections, or with objects the losses."""
        if objects is None:
            return self._detections(features, proposals, image_shapes), {}
        examples = self.examples(proposals, objects)
        regions = self._regions(examples.boxes, examples.chosen, examples.labels > 0)
        labels, matches = examples.labels.flatten()[regions.rows], examples.matches.flatten()[regions.rows]
        pooled = self.box_head(self.box_roi_pool.pooled(features, regions))
        losses = self._box_losses(pooled, regions, labels, matches, objects)
        if self.has_mask():
            assert objects.masks is not None
            found = regions.some(labels > 0)
            logits = self.mask_predictor(self.mask_head(self.mask_roi_pool.pooled(features, found)))
            losses["loss_mask"] = _mask_loss(logits, found, labels[found.rows], matches[found.rows], objects.masks)
        return [], losses

    def examples(self, proposals: Proposals, objects: Objects) -> "_Examples":
        """What is learnt from, the objects' own boxes among it."""
        boxes = torch.cat([proposals.boxes, objects.boxes], 1)
        valid = torch.cat([proposals.valid, objects.valid], 1)
        matcher = self.proposal_matcher
        matches, overlap = match(objects, boxes, matcher.high_threshold, matcher.low_threshold)
        if objects.crowds.shape[1]:
            ignored = in_crowd(proposals.boxes, objects.crowds)
            ignored &= overlap[:, : ignored.shape[1]] < matcher.high_threshold
            valid = valid & ~functional.pad(ignored, (0, objects.boxes.shape[1]))
        labels = torch.where(matches >= 0, objects.matched_by(matches)[1], -(matches != BACKGROUND).long())
        labels = torch.where(valid, labels, -1)
        return _Examples(boxes, labels, matches, self.fg_bg_sampler(labels, objects.seeds, boxes))

    def _regions(self, boxes: Tensor, chosen: Tensor, some: Tensor | None = None) -> Regions:
        pool = self.box_roi_pool
        return Regions.of(boxes, chosen, pool.levels_of(boxes), len(pool.strides), some)

    def _box_losses(
        self, pooled: Tensor, regions: Regions, labels: Tensor, matches: Tensor, objects: Objects
    ) -> dict[str, Tensor]:
        """torchvision's, over the sampled boxes of all processes."""
        logits, codes = self.box_predictor(pooled)
        classification = functional.cross_entropy(logits, labels, reduction="sum")
        found = (labels > 0)[:, None]
        boxes = torch.where(found, objects.boxes[regions.images, matches.clamp(min=0)], regions.boxes)
        own = codes.unflatten(1, (-1, 4)).gather(1, labels[:, None, None].expand(-1, 1, 4))[:, 0]
        wanted = encode(boxes, regions.boxes, self.box_coder.weights)
        regression = functional.smooth_l1_loss(own, wanted, beta=BETA, reduction="none")
        return {
            "loss_classifier": mean_over_processes(classification, len(labels)),
            "loss_box_reg": mean_over_processes(torch.where(found, regression, 0.0).sum(), len(labels)),
        }

    def _detections(
        self, features: dict[str, Tensor], proposals: Proposals, sizes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        regions = self._regions(proposals.boxes, proposals.valid)
        logits, codes = self.box_predictor(self.box_head(self.box_roi_pool.pooled(features, regions)))
        limits = limits_of(sizes, logits.device)[regions.images, None]
        boxes = decode(codes.unflatten(1, (-1, 4))[:, 1:], regions.boxes[:, None], self.box_coder.weights)
        boxes = clipped(boxes, limits)
        scores = logits.softmax(-1)[:, 1:]
        scores = scores.where((scores > self.score_thresh) & has_sides_of(boxes, _LEAST_SIDE), -1.0)
        places, classes = proposals.valid.shape, scores.shape[1]
        every = scores.new_full((proposals.valid.numel(), classes), -1.0).index_copy(0, regions.rows, scores)
        every = every.view(len(sizes), -1)
        ranks, best = every.topk(int((every >= 0).sum(1).max()), dim=1)  # the host waits here
        proposal = torch.div(best, classes, rounding_mode="floor")
        where = torch.zeros_like(proposals.valid, dtype=torch.int64).view(-1)
        where = where.index_copy(0, regions.rows, torch.arange(len(regions.rows), device=where.device)).view(places)
        labels = best % classes
        boxes = boxes[where.gather(1, proposal), labels]
        found = best_detections(boxes, ranks, labels + 1, ranks >= 0, self.nms_thresh, self.detections_per_img)
        if self.has_mask():
            for result, masks in zip(found, self._masks(features, found), strict=True):
                result["masks"] = masks
        return found

    def _masks(self, features: dict[str, Tensor], found: list[dict[str, Tensor]]) -> list[Tensor]:
        """(n, 1, h, w) of each image's detections, from 0 to 1."""
        counts = [len(result["boxes"]) for result in found]
        boxes, labels = (torch.cat([result[name] for result in found]) for name in ("boxes", "labels"))
        regions = self._regions(boxes[None], torch.ones_like(labels, dtype=torch.bool)[None])
        images = torch.arange(len(found)).repeat_interleave(torch.tensor(counts)).to(boxes.device, non_blocking=True)
        regions = Regions(regions.rows, regions.boxes, images[regions.rows], regions.counts, regions.counts)
        logits = self.mask_predictor(self.mask_head(self.mask_roi_pool.pooled(features, regions)))
        own = logits.sigmoid()[torch.arange(len(labels), device=labels.device), labels[regions.rows]][:, None]
        return list(own[regions.rows.argsort()].split(counts))


@dataclass(frozen=True)
class _Examples:
    """What the heads may learn from.

    Attributes:
        boxes: (N, K, 4).
        labels: (N, K), 0 of the background, -1 of what is neither that nor an object.
        matches: (N, K), the object that each is on, below 0 of none.
        chosen: (N, K) bool, which of them are sampled.
    """

    boxes: Tensor
    labels: Tensor
    matches: Tensor
    chosen: Tensor


def _mask_loss(logits: Tensor, found: Regions, labels: Tensor, matches: Tensor, masks: list[Tensor]) -> Tensor:
    """torchvision's, over the boxes on objects of all processes."""
    if not len(labels):
        return mean_over_processes(logits.sum() * 0, 0)
    targets = mask_targets(masks, found.boxes, found.images, matches, logits.shape[-1])
    own = logits[torch.arange(len(labels), device=labels.device), labels]
    loss = functional.binary_cross_entropy_with_logits(own, targets, reduction="sum")
    return mean_over_processes(loss / targets[0].numel(), len(labels))
