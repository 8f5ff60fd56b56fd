"""RetinaNet and FCOS from torchvision's parts."""

from collections.abc import Sequence

from torch import nn

from backbones import Backbone, FeaturePyramid, InputError
from tasks.detection.fcos_detector import BatchedFCOS, FocalFCOSHead
from tasks.detection.padding import PaddedBatch, check_sizes
from tasks.detection.precision import Float32Anchors
from tasks.detection.retinanet_detector import BatchedRetinaNet, FocalRetinaNetHead

_OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
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
    detector = BatchedRetinaNet(
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
    detector = BatchedFCOS(
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
