"""What RetinaNet and FCOS have in common, on all images of a batch at once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from tasks.detection.coding import clipped, limits_of
from tasks.detection.objects import Objects
from tasks.detection.suppression import best_detections


class FocalHead(nn.Module):
    """What both heads have beside torchvision's: boxes are decoded, ranked and scored in float32 whatever the
    convolutions computed in, and the focal loss has an alpha and a gamma.

    Args:
        in_channels, num_anchors, num_classes: as in torchvision.
        alpha, gamma: of the focal loss.
    """

    def __init__(self, in_channels: int, num_anchors: int, num_classes: int, alpha: float, gamma: float) -> None:
        super().__init__(in_channels, num_anchors, num_classes)
        self.alpha, self.gamma = alpha, gamma

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        outputs = {name: output.float() for name, output in super().forward(x).items()}
        return outputs if self.training else outputs | {"cls_logits": _without_background(outputs["cls_logits"])}

    def classification(self, logits: Tensor, labels: Tensor, ignored: Tensor, objects: Objects) -> Tensor:
        """The focal loss (Lin et al. 2017, equation 5) of each image, without what is ignored and without the classes
        that nobody looked for on the image.

        Args:
            logits: (N, A, classes).
            labels: (N, A) int64, 0 of the background.
            ignored: (N, A) bool.

        Returns:
            (N,).
        """
        on_object = (labels > 0)[..., None].to(logits.dtype)
        wanted = torch.zeros_like(logits).scatter(2, labels[..., None], on_object)
        focal = sigmoid_focal_loss(logits, wanted, self.alpha, self.gamma)
        if objects.nobody_looked is not None:
            looked = logits.new_ones(len(logits), logits.shape[2])
            looked = looked.index_put(objects.nobody_looked, looked.new_zeros(len(objects.nobody_looked[0])))
            focal = focal * looked[:, None]
        return focal.sum(2).masked_fill(ignored, 0.0).sum(1)


class OneStageDetector(nn.Module):
    """Stands before a torchvision class of that kind, whose parts and numbers it takes; what is a detector's own are
    `losses`, `scores` and `decoded`."""

    transform: Any
    backbone: Any
    head: Any
    anchor_generator: Any
    proposal_matcher: Any
    box_coder: Any
    center_sampling_radius: float
    topk_candidates: int
    score_thresh: float
    nms_thresh: float
    detections_per_img: int

    def forward(self, images: list[Tensor], targets: list[dict[str, Any]] | None = None) -> Any:
        """uint8 (C, H, W) each -> detections, or in training the losses."""
        batch, _ = self.transform(images, None)
        levels = list(self.backbone(batch.tensors).values())
        outputs = self.head(levels)
        anchors = self.anchor_generator(batch, levels)[0]
        numbers = self.anchor_generator.num_anchors_per_location()
        counts = [level.shape[2] * level.shape[3] * number for level, number in zip(levels, numbers, strict=True)]
        if self.training:
            return self.losses(outputs, anchors, counts, Objects.of(targets, anchors.device))
        return self._detections(outputs, anchors, counts, limits_of(batch.image_sizes, anchors.device))

    def losses(
        self, outputs: dict[str, Tensor], anchors: Tensor, counts: Sequence[int], objects: Objects
    ) -> dict[str, Tensor]:
        """Of what the head gives for anchors (A, 4), so many of each level."""
        raise NotImplementedError

    def scores(self, outputs: dict[str, Tensor]) -> Tensor:
        """(N, A, classes) from 0 to 1."""
        raise NotImplementedError

    def decoded(self, codes: Tensor, anchors: Tensor) -> Tensor:
        """(N, K, 4) of anchors (N, K, 4) -> the boxes."""
        raise NotImplementedError

    def _detections(
        self, outputs: dict[str, Tensor], anchors: Tensor, counts: Sequence[int], limits: Tensor
    ) -> list[dict[str, Tensor]]:
        scores, classes, first = self.scores(outputs), outputs["cls_logits"].shape[2], 0
        ranks, places = [], []
        for count, level in zip(counts, scores.split(list(counts), 1), strict=True):
            level = level.flatten(1)
            best, place = level.topk(min(self.topk_candidates, level.shape[1]), dim=1)
            ranks.append(best)
            places.append(place + first * classes)
            first += count
        rank, place = torch.cat(ranks, 1), torch.cat(places, 1)
        row = torch.div(place, classes, rounding_mode="floor")
        codes = outputs["bbox_regression"].gather(1, row[..., None].expand(-1, -1, 4))
        boxes = clipped(self.decoded(codes, anchors[row]), limits[:, None])
        most = self.detections_per_img
        return best_detections(boxes, rank, place % classes, rank > self.score_thresh, self.nms_thresh, most)


def found_rows(matches: Tensor) -> Tensor:
    """(N, A) below 0 of no object -> (n,), the places of the others in a row; the host waits for the device, once for
    all images."""
    return (matches >= 0).flatten().nonzero()[:, 0]


def _without_background(logits: Tensor) -> Tensor:
    """Column 0 is there for torchvision's keys alone: nothing trains it, and nothing is to be found of it."""
    return functional.pad(logits[..., 1:], (1, 0), value=-torch.inf)
