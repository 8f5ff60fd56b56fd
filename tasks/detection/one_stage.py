"""RetinaNet and FCOS from torchvision's parts."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import box_iou

from backbones import Backbone, FeaturePyramid, InputError
from tasks.detection.padding import PaddedBatch, check_sizes
from tasks.detection.parts import Float32Anchors, in_crowd

_OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
_BACKGROUND, _IGNORED = -1, -2  # what torchvision's matcher says of anchors
_FCOS_GROUPS = 32
_SURELY_NOT = -100.0  # a logit that costs nothing where the target is 0


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
        head=Float32RetinaNetHead(pyramid.out_channels, anchors.num_anchors_per_location()[0], num_classes + 1),
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
        head=CrowdAwareFCOSHead(pyramid.out_channels, 1, num_classes + 1),
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


class Float32RetinaNetHead(RetinaNetHead):
    """Boxes are decoded, ranked and scored in float32 whatever the convolutions computed in."""

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        return {name: output.float() for name, output in super().forward(x).items()}


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


class CrowdAwareFCOSHead(FCOSHead):
    """Cells in a crowd region are ignored; boxes are decoded, ranked and scored in float32."""

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        return {name: output.float() for name, output in super().forward(x).items()}

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        logits = []
        for own, boxes, target, matches in zip(head_outputs["cls_logits"], anchors, targets, matched_idxs, strict=True):
            if len(target["crowd_boxes"]):
                ignored = (matches < 0) & in_crowd(boxes, target["crowd_boxes"])
                own = own.masked_fill(ignored[:, None], _SURELY_NOT)
            logits.append(own)
        outputs = head_outputs | {"cls_logits": torch.stack(logits)}
        return super().compute_loss(targets, outputs, anchors, matched_idxs)
