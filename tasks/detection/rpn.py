"""The region proposal network (Ren et al. 2015, section 3.1) on all images of a batch at once."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers

from tasks.detection.coding import clipped, decode, encode, has_sides_of, limits_of
from tasks.detection.matching import in_crowd, match
from tasks.detection.objects import Objects
from tasks.detection.sampled_head import at_anchors, is_sampled, without_gradients
from tasks.detection.sampling import SeededSampler
from tasks.detection.suppression import kept
from tasks.processes import mean_over_processes

BETA = 1 / 9  # of the boxes' smooth L1 losses, as in torchvision


@dataclass(frozen=True)
class Proposals:
    """Where objects may be, the best first.

    Attributes:
        boxes: (N, K, 4) within their images; an image with fewer than another has rows that are not valid.
        valid: (N, K) bool.
    """

    boxes: Tensor
    valid: Tensor


class BatchedRPN(RegionProposalNetwork):
    """torchvision's, with its proposals and losses. Anchors in a crowd region are ignored: they are neither objects nor
    background. Which of the others are learnt from depends on the image's own seed."""

    fg_bg_sampler: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fg_bg_sampler = SeededSampler.instead_of(self.fg_bg_sampler, stream=0)

    def forward(
        self, images: ImageList, features: dict[str, Tensor], objects: Objects | None = None
    ) -> tuple[Proposals, dict[str, Tensor]]:
        """Proposals, and with objects the losses."""
        levels = list(features.values())
        sampled = objects is not None and is_sampled(self.head)
        with without_gradients(levels[0].device) if sampled else nullcontext():
            scores, codes = self.head(levels)
        counts = [level[0].numel() for level in scores]
        anchors = self.anchor_generator(images, levels)[0]
        scores, codes = concat_box_prediction_layers(scores, codes)
        scores, codes = scores.view(-1, len(anchors)), codes.view(-1, len(anchors), 4)
        limits = limits_of(images.image_sizes, scores.device)[:, None]
        proposals = self._proposals(scores.detach(), codes.detach(), anchors, counts, limits)
        if objects is None:
            return proposals, {}

        def outputs(rows: Tensor) -> tuple[Tensor, Tensor]:
            if sampled:
                return at_anchors(self.head, levels, rows)
            return scores.gather(1, rows), codes.gather(1, rows[..., None].expand(-1, -1, 4))

        return proposals, self._losses(outputs, anchors, objects)

    def _proposals(
        self, logits: Tensor, codes: Tensor, anchors: Tensor, counts: Sequence[int], limits: Tensor
    ) -> Proposals:
        """The best of each level, and of what suppression leaves of them the best of the image."""
        rows, levels, first = [], [], 0
        for number, level in enumerate(logits.split(list(counts), 1)):
            best = level.topk(min(self.pre_nms_top_n(), counts[number]), dim=1)[1]
            rows.append(best + first)
            levels.append(torch.full_like(best, number))
            first += counts[number]
        row = torch.cat(rows, 1)
        scores = logits.gather(1, row).sigmoid()
        boxes = clipped(decode(codes.gather(1, row[..., None].expand(-1, -1, 4)), anchors[row]), limits)
        valid = has_sides_of(boxes, self.min_size) & (scores >= self.score_thresh)
        valid = kept(boxes, scores, torch.cat(levels, 1), valid, self.nms_thresh)
        ranks, best = scores.masked_fill(~valid, -1.0).topk(min(self.post_nms_top_n(), row.shape[1]), dim=1)
        return Proposals(boxes.gather(1, best[..., None].expand(-1, -1, 4)), ranks >= 0)

    def labels(self, anchors: Tensor, objects: Objects) -> tuple[Tensor, Tensor]:
        """1 of anchors on objects, 0 of the background and -1 of what is neither (N, A); the objects (N, A)."""
        matcher = self.proposal_matcher
        matches, _ = match(objects, anchors, matcher.high_threshold, matcher.low_threshold, low_quality=True)
        labels = matches.clamp(max=0) + 1
        if objects.crowds.shape[1]:
            labels = labels.masked_fill((labels == 0) & in_crowd(anchors, objects.crowds), -1)
        return labels, matches

    def _losses(
        self, outputs: Callable[[Tensor], tuple[Tensor, Tensor]], anchors: Tensor, objects: Objects
    ) -> dict[str, Tensor]:
        """torchvision's, over the sampled anchors of all processes.

        Args:
            outputs: of some anchors (N, K) gives the logits (N, K) and the codes (N, K, 4).
        """
        labels, matches = self.labels(anchors, objects)
        (found, on_object), (empty, on_background) = self.fg_bg_sampler.rows(labels, objects.seeds)
        logits, codes = outputs(torch.cat([found, empty], 1))
        wanted = torch.cat([on_object, torch.zeros_like(on_background)], 1).to(logits.dtype)
        taken = torch.cat([on_object, on_background], 1).to(logits.dtype)
        classification = functional.binary_cross_entropy_with_logits(logits, wanted, taken, reduction="sum")
        references = anchors[found]
        boxes = torch.where(on_object[..., None], objects.matched_by(matches.gather(1, found))[0], references)
        regression = functional.smooth_l1_loss(
            codes[:, : found.shape[1]].flatten(0, 1),
            encode(boxes.flatten(0, 1), references.flatten(0, 1), self.box_coder.weights),
            beta=BETA,
            reduction="none",
        )
        regression = torch.where(on_object.flatten()[:, None], regression, 0.0).sum()
        return {
            "loss_objectness": mean_over_processes(classification, taken.sum()),
            "loss_rpn_box_reg": mean_over_processes(regression, taken.sum()),
        }
