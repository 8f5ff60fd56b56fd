"""RetinaNet and FCOS from torchvision's parts."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import box_iou, generalized_box_iou_loss, sigmoid_focal_loss

from backbones import Backbone, FeaturePyramid, InputError
from tasks.detection.padding import PaddedBatch, check_sizes
from tasks.detection.parts import Float32Anchors, in_crowd
from tasks.processes import mean_over_processes

_OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
_BACKGROUND, _IGNORED = -1, -2  # what torchvision's matcher says of anchors
_FCOS_GROUPS = 32


def retinanet(
    backbone: Backbone,
    num_classes: int,
    *,
    channels: int = 256,
    anchor_scale: float = 4.0,
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    topk_candidates: int = 1000,
    nms_thresh: float = 0.5,
    fg_iou_thresh: float = 0.5,
    bg_iou_thresh: float = 0.4,
    focal_alpha: float = 0.25,
    focal_gamma: float = 2.0,
    score_threshold: float = 0.05,
    detections_per_image: int = 100,
) -> nn.Module:
    """RetinaNet (Lin et al. 2017, "Focal loss for dense object detection") on p3..p7, the keys those of
    `torchvision.models.detection.RetinaNet`, and so are the numbers that are not given here.

    Args:
        num_classes: without the background.
        channels: of every pyramid level.
        anchor_scale: side of the square anchor in strides of its level.
        aspect_ratios: heights of the anchors over their widths.
        topk_candidates, ..., bg_iou_thresh: as in torchvision.
        focal_alpha, focal_gamma: of the loss (equation 5 there).
        score_threshold, detections_per_image: what is kept.

    Returns:
        As `two_stage.faster_rcnn`; like torchvision's it has a logit of the background that nothing trains.
    """
    pyramid = _pyramid(backbone, channels)
    anchors = Float32Anchors(
        sizes=tuple(
            tuple(int(anchor_scale * level.stride * octave) for octave in _OCTAVES) for level in pyramid.features
        ),
        aspect_ratios=(tuple(aspect_ratios),) * len(pyramid.features),
    )
    detector = CrowdAwareRetinaNet(
        pyramid.as_torchvision(),
        num_classes + 1,
        anchor_generator=anchors,
        head=FocalRetinaNetHead(
            pyramid.out_channels, anchors.num_anchors_per_location()[0], num_classes + 1, focal_alpha, focal_gamma
        ),
        score_thresh=score_threshold,
        detections_per_img=detections_per_image,
        topk_candidates=topk_candidates,
        nms_thresh=nms_thresh,
        fg_iou_thresh=fg_iou_thresh,
        bg_iou_thresh=bg_iou_thresh,
    )
    detector.transform = PaddedBatch(backbone)
    return detector


def fcos(
    backbone: Backbone,
    num_classes: int,
    *,
    channels: int = 256,
    topk_candidates: int = 1000,
    nms_thresh: float = 0.6,
    center_sampling_radius: float = 1.5,
    focal_alpha: float = 0.25,
    focal_gamma: float = 2.0,
    score_threshold: float = 0.05,
    detections_per_image: int = 100,
) -> nn.Module:
    """FCOS (Tian et al. 2019) on p3..p7, the keys those of `torchvision.models.detection.FCOS`, and so are the
    numbers that are not given here. It has no anchors to choose: a cell belongs to a level by the size of its object.

    Returns:
        As `retinanet`.

    Raises:
        InputError: the groups of its norms do not divide the channels.
    """
    if channels % _FCOS_GROUPS:
        raise InputError(
            f"head.channels: {channels}: fcos has group norms of {_FCOS_GROUPS} groups; take a multiple of them"
        )
    pyramid = _pyramid(backbone, channels)
    anchors = Float32Anchors(
        sizes=tuple((level.stride,) for level in pyramid.features), aspect_ratios=((1.0,),) * len(pyramid.features)
    )
    detector = FCOS(
        pyramid.as_torchvision(),
        num_classes + 1,
        anchor_generator=anchors,
        head=FocalFCOSHead(pyramid.out_channels, 1, num_classes + 1, focal_alpha, focal_gamma),
        score_thresh=score_threshold,
        detections_per_img=detections_per_image,
        topk_candidates=topk_candidates,
        nms_thresh=nms_thresh,
        center_sampling_radius=center_sampling_radius,
    )
    detector.transform = PaddedBatch(backbone)
    return detector


def _pyramid(backbone: Backbone, channels: int) -> FeaturePyramid:
    check_sizes(backbone)
    return FeaturePyramid(backbone, channels, levels=("p3", "p7"), extra="conv")


class _FocalHead(nn.Module):
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


class FocalRetinaNetHead(_FocalHead, RetinaNetHead):
    """torchvision's head with that loss."""

    regression_head: Any

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        losses = []
        outputs = head_outputs["cls_logits"]
        labelled = _labelled(targets, outputs)
        for logits, target, matches, columns in zip(outputs, targets, matched_idxs, labelled, strict=True):
            found, valid = matches >= 0, matches != _IGNORED
            wanted = torch.zeros_like(logits)
            wanted[found, target["labels"][matches[found]]] = 1.0
            focal = sigmoid_focal_loss(logits[valid], wanted[valid], self.alpha, self.gamma)
            losses.append((focal * columns).sum() / max(1, found.sum()))
        # torchvision's, the mean over its images
        regression = self.regression_head.compute_loss(targets, head_outputs, anchors, matched_idxs) * len(targets)
        return {
            "classification": mean_over_processes(torch.stack(losses).sum(), len(targets)),
            "bbox_regression": mean_over_processes(regression, len(targets)),
        }


class CrowdAwareRetinaNet(RetinaNet):
    """Anchors in a crowd region are ignored: they are neither objects nor background."""

    def compute_loss(
        self, targets: list[dict[str, Tensor]], head_outputs: dict[str, Tensor], anchors: list[Tensor]
    ) -> dict[str, Tensor]:
        matched = []
        for boxes, target in zip(anchors, targets, strict=True):
            if len(target["boxes"]):
                matches = self.proposal_matcher(box_iou(target["boxes"], boxes))
            else:
                matches = boxes.new_full((len(boxes),), _BACKGROUND).long()
            if len(target["crowd_boxes"]):
                matches[(matches == _BACKGROUND) & in_crowd(boxes, target["crowd_boxes"])] = _IGNORED
            matched.append(matches)
        return self.head.compute_loss(targets, head_outputs, anchors, matched)


class FocalFCOSHead(_FocalHead, FCOSHead):
    """torchvision's head with that loss; cells in a crowd region are ignored."""

    box_coder: Any

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        cells, matches = torch.stack(anchors), torch.stack(matched_idxs)
        crowds = [in_crowd(boxes, target["crowd_boxes"]) for boxes, target in zip(anchors, targets, strict=True)]
        pairs = list(zip(targets, matched_idxs, strict=True))
        labels = torch.cat([_of_matches(target["labels"], own) for target, own in pairs])
        boxes = torch.cat([_of_matches(target["boxes"], own) for target, own in pairs])
        found = (matches >= 0).flatten().nonzero().squeeze(1)  # the host waits here, once for all images
        labels, boxes, cells_found = labels[found], boxes[found], cells.flatten(0, 1)[found]

        logits = head_outputs["cls_logits"].flatten(0, 1)
        wanted = torch.zeros_like(logits).index_put((found, labels), logits.new_ones(len(found)))
        ignored = (torch.stack(crowds) & (matches < 0)).flatten()
        focal = sigmoid_focal_loss(logits, wanted, self.alpha, self.gamma).unflatten(0, cells.shape[:2])
        focal = (focal * _labelled(targets, logits)[:, None]).sum(2).flatten()
        regression = head_outputs["bbox_regression"].flatten(0, 1)[found]
        losses = {
            "classification": focal.masked_fill(ignored, 0.0).sum(),
            "bbox_regression": generalized_box_iou_loss(
                self.box_coder.decode(regression, cells_found), boxes, reduction="sum"
            ),
            "bbox_ctrness": functional.binary_cross_entropy_with_logits(
                head_outputs["bbox_ctrness"].flatten()[found],
                _centerness(self.box_coder.encode(cells_found, boxes)),
                reduction="sum",
            ),
        }
        return {name: mean_over_processes(loss, len(found)) for name, loss in losses.items()}


def _labelled(targets: list[dict[str, Tensor]], logits: Tensor) -> Tensor:
    """(images, classes) 1, or 0 where nobody looked for the class on the image: nothing is known of it, neither that it
    is there nor that it is not."""
    every = logits.new_ones(logits.shape[-1])
    return torch.stack([every.index_fill(0, target["unlabelled"], 0.0) for target in targets])


def _of_matches(values: Tensor, matches: Tensor) -> Tensor:
    """Each cell's value of its object; anything where it has none."""
    return values[matches.clamp(min=0)] if len(values) else values.new_zeros(len(matches), *values.shape[1:])


def _without_background(logits: Tensor) -> Tensor:
    """Column 0 is there for torchvision's keys alone: nothing trains it, and nothing is to be found of it."""
    return torch.cat([torch.full_like(logits[..., :1], -torch.inf), logits[..., 1:]], dim=-1)


def _centerness(sides: Tensor) -> Tensor:
    """Distances to a box's left, top, right and bottom (n, 4) -> 1 in its centre, 0 at its border (Tian et al. 2019,
    "FCOS", equation 3)."""
    across, down = sides[:, [0, 2]], sides[:, [1, 3]]
    return torch.sqrt((across.amin(1) / across.amax(1)) * (down.amin(1) / down.amax(1)))
