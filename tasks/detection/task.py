"""Detection as the trainer sees it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backbones import Backbone
from tasks.config import HeadSettings
from tasks.data.samples import Indexed, Sample
from tasks.detection.metric import CocoMetric, Evaluator
from tasks.detection.models import faster_rcnn
from tasks.task import Batch


@dataclass(frozen=True)
class Detections:
    """The objects found in one picture, best first.

    Attributes:
        boxes: (n, 4) float32 on the CPU, x_min y_min x_max y_max in pixels of the original picture.
        labels: (n,) int64, positions in the classes.
        scores: (n,) float32, 0..1.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor


class DetectionTask:
    """Faster R-CNN over named classes.

    Args:
        backbone: with its weights and its frozen stages.
        classes: the names, without a background.
        head: the head's settings.
        evaluator: who computes the COCO metrics, hotcoco or pycocotools.
    """

    best_metric = "AP"

    def __init__(
        self, backbone: Backbone, classes: Sequence[str], head: HeadSettings, evaluator: Evaluator = "hotcoco"
    ) -> None:
        self.backbone = backbone
        self.classes = tuple(classes)
        self.evaluator: Evaluator = evaluator
        self.model: nn.Module = faster_rcnn(backbone, len(self.classes), head)

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        targets = [
            {"boxes": target["boxes"], "labels": target["labels"] + 1, "crowd_boxes": target["crowd_boxes"]}
            for target in batch.targets
        ]
        return model(batch.images, targets)

    def predict(self, model: nn.Module, batch: Batch) -> list[Detections]:
        results: list[dict[str, Tensor]] = model(batch.images)
        return [
            _to_original(result, image, size)
            for result, image, size in zip(results, batch.images, batch.original_sizes, strict=True)
        ]

    def metric(self, samples: Indexed[Sample]) -> CocoMetric:
        return CocoMetric(samples, self.classes, self.evaluator)


def _to_original(result: dict[str, Tensor], image: Tensor, original: tuple[int, int]) -> Detections:
    height, width = image.shape[-2:]
    scale_x, scale_y = original[1] / width, original[0] / height
    boxes = result["boxes"].float().cpu() * torch.tensor([scale_x, scale_y, scale_x, scale_y])
    return Detections(boxes, result["labels"].cpu() - 1, result["scores"].float().cpu())
