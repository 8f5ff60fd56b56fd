"""Faster and Mask R-CNN from torchvision's parts."""

from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads

from backbones import Backbone, FeaturePyramid
from backbones.layers import norm_layer
from tasks.config import HeadSettings
from tasks.detection.parts import (
    CrowdAwareRoIHeads,
    CrowdAwareRPN,
    Float32Anchors,
    Float32MaskPredictor,
    Float32Predictor,
    Float32RPNHead,
    Normalize,
)
from tasks.detection.roi_align import PyramidRoIAlign

_ASPECT_RATIOS = (0.5, 1.0, 2.0)
_ANCHOR_SCALE = 8.0  # of torchvision's: 32 px at stride 4
_V2_CONVOLUTIONS, _V2_REPRESENTATION = [256] * 4, [1024]
_MASK_WIDTHS = [256] * 4


def faster_rcnn(backbone: Backbone, num_classes: int, head: HeadSettings, norm: str = "batch") -> GeneralizedRCNN:
    """Faster R-CNN with a feature pyramid (Ren et al. 2015; Lin et al. 2017, section 4).

    The thresholds and numbers are those of `torchvision.models.detection.FasterRCNN` unless `head` has
    others, and so are the state dict's keys. With `head.v2` it is the stronger recipe of
    `fasterrcnn_resnet50_fpn_v2`: norms in the pyramid, two convolutions in the RPN, four in the box head.

    Args:
        num_classes: without the background.
        norm: of the v2 recipe's pyramid and head.

    Returns:
        A module that takes uint8 images (3, H, W) and, in training, targets with "boxes", "labels"
        (from 1; 0 is the background) and "crowd_boxes"; gives losses or detections as torchvision does.
    """
    return _rcnn(backbone, num_classes, head, norm, with_masks=False)


def mask_rcnn(backbone: Backbone, num_classes: int, head: HeadSettings, norm: str = "batch") -> GeneralizedRCNN:
    """Mask R-CNN (He et al. 2017): `faster_rcnn` with a mask for every detection, the keys those of
    `torchvision.models.detection.MaskRCNN`.

    Returns:
        As `faster_rcnn`; targets have "masks" too, uint8 (n, H, W), and detections "masks", (n, 1, 28, 28) within
        their boxes, 0..1.
    """
    return _rcnn(backbone, num_classes, head, norm, with_masks=True)


def _rcnn(backbone: Backbone, num_classes: int, head: HeadSettings, norm: str, *, with_masks: bool) -> GeneralizedRCNN:
    layer = norm_layer("batch" if norm == "frozen" else norm) if head.v2 else None
    pyramid = FeaturePyramid(backbone, head.channels, norm_layer=layer)
    scale = head.anchor_scale or _ANCHOR_SCALE
    anchors = Float32Anchors(
        sizes=tuple((round(scale * level.stride),) for level in pyramid.features),
        aspect_ratios=(_ASPECT_RATIOS,) * len(pyramid.features),
    )
    rpn = CrowdAwareRPN(
        anchors,
        Float32RPNHead(pyramid.out_channels, anchors.num_anchors_per_location()[0], conv_depth=2 if head.v2 else 1),
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
    width = _V2_REPRESENTATION[-1] if head.v2 else head.representation
    roi_heads = CrowdAwareRoIHeads(
        PyramidRoIAlign(strides, output_size=7, sampling_ratio=2),
        FastRCNNConvFCHead((pyramid.out_channels, 7, 7), _V2_CONVOLUTIONS, _V2_REPRESENTATION, norm_layer=layer)
        if head.v2
        else TwoMLPHead(pyramid.out_channels * 7 * 7, width),
        Float32Predictor(width, num_classes + 1),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=head.rois_per_image,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=head.score_threshold,
        nms_thresh=0.5,
        detections_per_img=head.detections_per_image,
    )
    if with_masks:
        roi_heads.mask_roi_pool = PyramidRoIAlign(strides, output_size=14, sampling_ratio=2)
        roi_heads.mask_head = MaskRCNNHeads(pyramid.out_channels, _MASK_WIDTHS, dilation=1, norm_layer=layer)
        roi_heads.mask_predictor = Float32MaskPredictor(_MASK_WIDTHS[-1], _MASK_WIDTHS[-1], num_classes + 1)
    transform = Normalize(backbone.mean, backbone.std)
    return GeneralizedRCNN(pyramid.as_torchvision(), rpn, roi_heads, transform)
