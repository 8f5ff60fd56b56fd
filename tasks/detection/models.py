"""Faster R-CNN from torchvision's parts."""

from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from backbones import Backbone, FeaturePyramid, InputError
from tasks.config import HeadSettings
from tasks.detection.parts import (
    CrowdAwareRoIHeads,
    CrowdAwareRPN,
    Float32Anchors,
    Float32Predictor,
    Float32RPNHead,
    Normalize,
)
from tasks.detection.roi_align import PyramidRoIAlign

_ASPECT_RATIOS = (0.5, 1.0, 2.0)


def faster_rcnn(backbone: Backbone, num_classes: int, head: HeadSettings) -> GeneralizedRCNN:
    """Faster R-CNN with a feature pyramid (Ren et al. 2015; Lin et al. 2017, section 4).

    The thresholds and numbers are those of `torchvision.models.detection.FasterRCNN` unless `head` has
    others, and so are the state dict's keys.

    Args:
        num_classes: without the background.

    Returns:
        A module that takes uint8 images (3, H, W) and, in training, targets with "boxes", "labels"
        (from 1; 0 is the background) and "crowd_boxes"; gives losses or detections as torchvision does.
    """
    if backbone.fixed_size is not None:
        height, width = backbone.fixed_size
        raise InputError(f"this backbone takes only pictures of {height} x {width} px; a detector's have many sizes")
    pyramid = FeaturePyramid(backbone, head.channels)
    anchors = Float32Anchors(
        sizes=tuple((round(head.anchor_scale * level.stride),) for level in pyramid.features),
        aspect_ratios=(_ASPECT_RATIOS,) * len(pyramid.features),
    )
    rpn = CrowdAwareRPN(
        anchors,
        Float32RPNHead(pyramid.out_channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 2000, "testing": 1000},
        post_nms_top_n={"training": 2000, "testing": 1000},
        nms_thresh=0.7,
    )
    # torchvision's names; the coarsest level is for the RPN only
    strides = {str(position): level.stride for position, level in enumerate(pyramid.features[:-1])}
    pool = PyramidRoIAlign(strides, output_size=7, sampling_ratio=2)
    roi_heads = CrowdAwareRoIHeads(
        pool,
        TwoMLPHead(pyramid.out_channels * 7 * 7, head.representation),
        Float32Predictor(head.representation, num_classes + 1),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=head.rois_per_image,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=head.score_threshold,
        nms_thresh=0.5,
        detections_per_img=head.detections_per_image,
    )
    transform = Normalize(backbone.mean, backbone.std)
    return GeneralizedRCNN(pyramid.as_torchvision(), rpn, roi_heads, transform)
