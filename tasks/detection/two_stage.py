"""Faster and Mask R-CNN from torchvision's parts."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads

from backbones import Backbone, FeaturePyramid, norm_layer
from tasks.detection.objects import Objects
from tasks.detection.padding import PaddedBatch, check_sizes
from tasks.detection.precision import Float32Anchors, Float32MaskPredictor, Float32Predictor, Float32RPNHead
from tasks.detection.roi_align import PyramidRoIAlign
from tasks.detection.roi_heads import BatchedRoIHeads
from tasks.detection.rpn import BatchedRPN

_V2_CONVOLUTIONS = [256] * 4
_MASK_WIDTHS = [256] * 4


def faster_rcnn(
    backbone: Backbone,
    num_classes: int,
    *,
    norm: str = "batch",
    channels: int = 256,
    representation: int = 1024,
    v2: bool = False,
    anchor_scale: float = 8.0,
    rois_per_image: int = 512,
    aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    rpn_pre_nms_top_n_train: int = 2000,
    rpn_pre_nms_top_n_test: int = 1000,
    rpn_post_nms_top_n_train: int = 2000,
    rpn_post_nms_top_n_test: int = 1000,
    rpn_nms_thresh: float = 0.7,
    rpn_fg_iou_thresh: float = 0.7,
    rpn_bg_iou_thresh: float = 0.3,
    box_nms_thresh: float = 0.5,
    box_fg_iou_thresh: float = 0.5,
    box_bg_iou_thresh: float = 0.5,
    score_threshold: float = 0.05,
    detections_per_image: int = 100,
) -> "TwoStageDetector":
    """Faster R-CNN with a feature pyramid (Ren et al. 2015; Lin et al. 2017, section 4).

    The state dict's keys are those of `torchvision.models.detection.FasterRCNN`, and so are the thresholds and
    numbers that are not given here.

    Args:
        num_classes: without the background.
        norm: of the v2 variant's pyramid and head.
        channels: of every pyramid level.
        representation: width of the box head's two hidden layers; of v2's one.
        v2: the stronger variant of `fasterrcnn_resnet50_fpn_v2`: norms in the pyramid, two convolutions in the RPN,
            four in the box head.
        anchor_scale: side of the square anchor in strides of its level.
        rois_per_image: proposals that the box head trains on.
        aspect_ratios: heights of the anchors over their widths.
        rpn_pre_nms_top_n_train, ..., box_bg_iou_thresh: as in torchvision.
        score_threshold, detections_per_image: what is kept.

    Returns:
        A module that takes uint8 images (C, H, W) and, in training, targets with "boxes", "labels"
        (from 1; 0 is the background) and "crowd_boxes"; gives losses or detections as torchvision does.

    Raises:
        InputError: the backbone lacks a level, or takes images of one size only.
    """
    check_sizes(backbone)
    layer = _norm_layer(norm) if v2 else None
    pyramid = FeaturePyramid(backbone, channels, norm_layer=layer)
    anchors = Float32Anchors(
        sizes=tuple((round(anchor_scale * level.stride),) for level in pyramid.features),
        aspect_ratios=(tuple(aspect_ratios),) * len(pyramid.features),
    )
    rpn = BatchedRPN(
        anchors,
        Float32RPNHead(pyramid.out_channels, anchors.num_anchors_per_location()[0], conv_depth=2 if v2 else 1),
        fg_iou_thresh=rpn_fg_iou_thresh,
        bg_iou_thresh=rpn_bg_iou_thresh,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": rpn_pre_nms_top_n_train, "testing": rpn_pre_nms_top_n_test},
        post_nms_top_n={"training": rpn_post_nms_top_n_train, "testing": rpn_post_nms_top_n_test},
        nms_thresh=rpn_nms_thresh,
    )
    roi_heads = BatchedRoIHeads(
        PyramidRoIAlign(_strides(pyramid), output_size=7, sampling_ratio=2),
        FastRCNNConvFCHead((pyramid.out_channels, 7, 7), _V2_CONVOLUTIONS, [representation], norm_layer=layer)
        if v2
        else TwoMLPHead(pyramid.out_channels * 7 * 7, representation),
        Float32Predictor(representation, num_classes + 1),
        fg_iou_thresh=box_fg_iou_thresh,
        bg_iou_thresh=box_bg_iou_thresh,
        batch_size_per_image=rois_per_image,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=score_threshold,
        nms_thresh=box_nms_thresh,
        detections_per_img=detections_per_image,
    )
    return TwoStageDetector(pyramid.as_torchvision(), rpn, roi_heads, PaddedBatch(backbone))


def mask_rcnn(
    backbone: Backbone, num_classes: int, *, norm: str = "batch", channels: int = 256, v2: bool = False, **options: Any
) -> "TwoStageDetector":
    """Mask R-CNN (He et al. 2017): `faster_rcnn` with a mask for every detection, the keys those of
    `torchvision.models.detection.MaskRCNN`.

    Args:
        options: as in `faster_rcnn`.

    Returns:
        As `faster_rcnn`; targets have "masks" too, uint8 (n, H, W), and detections "masks", (n, 1, 28, 28) within
        their boxes, 0..1.
    """
    detector = faster_rcnn(backbone, num_classes, norm=norm, channels=channels, v2=v2, **options)
    heads = detector.roi_heads
    heads.mask_roi_pool = PyramidRoIAlign(heads.box_roi_pool.strides, output_size=14, sampling_ratio=2)
    heads.mask_head = MaskRCNNHeads(channels, _MASK_WIDTHS, dilation=1, norm_layer=_norm_layer(norm) if v2 else None)
    heads.mask_predictor = Float32MaskPredictor(_MASK_WIDTHS[-1], _MASK_WIDTHS[-1], num_classes + 1)
    return detector


class TwoStageDetector(GeneralizedRCNN):
    """torchvision's, whose parts take the objects of all images together."""

    def forward(self, images: list[Tensor], targets: list[dict[str, Any]] | None = None) -> Any:
        """uint8 (C, H, W) each -> detections, or in training the losses."""
        batch, _ = self.transform(images, None)
        objects = Objects.of(targets, batch.tensors.device) if self.training else None
        features = self.backbone(batch.tensors)
        proposals, proposal_losses = self.rpn(batch, features, objects)
        detections, losses = self.roi_heads(features, proposals, batch.image_sizes, objects)
        return detections if objects is None else losses | proposal_losses


def _norm_layer(norm: str) -> Callable[[int], nn.Module]:
    return norm_layer("batch" if norm == "frozen" else norm)


def _strides(pyramid: FeaturePyramid) -> dict[str, int]:
    # torchvision's names; the coarsest level is for the RPN only
    return {str(position): level.stride for position, level in enumerate(pyramid.features[:-1])}
