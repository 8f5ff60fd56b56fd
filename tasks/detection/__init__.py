"""Object detection: torchvision's heads on our backbones, evaluated by the COCO metrics."""

from tasks.detection.anchors import anchor_fit, anchor_sizes
from tasks.detection.detections import Detections
from tasks.detection.masks import PackedMasks
from tasks.detection.metric import THRESHOLD, CocoMetric, Evaluator, coco_metrics
from tasks.detection.one_stage import fcos, retinanet
from tasks.detection.padding import PaddedBatch
from tasks.detection.results import coco_results, mistakes
from tasks.detection.task import DetectionTask
from tasks.detection.transforms import DetectionTransform
from tasks.detection.two_stage import faster_rcnn, mask_rcnn

__all__ = [
    "THRESHOLD",
    "CocoMetric",
    "DetectionTask",
    "DetectionTransform",
    "Detections",
    "Evaluator",
    "PackedMasks",
    "PaddedBatch",
    "anchor_fit",
    "anchor_sizes",
    "coco_metrics",
    "coco_results",
    "faster_rcnn",
    "fcos",
    "mask_rcnn",
    "mistakes",
    "retinanet",
]
