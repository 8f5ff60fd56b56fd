"""Detection as the trainer sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import paste_masks_in_image

from backbones import Backbone, InputError
from tasks.config import MASK_HEADS, HeadSettings
from tasks.data.samples import Indexed, Sample
from tasks.detection.metric import CocoMetric, Evaluator, pack_masks
from tasks.detection.one_stage import fcos, retinanet
from tasks.detection.two_stage import faster_rcnn, mask_rcnn
from tasks.task import Batch

_DETECTORS = {"faster_rcnn": faster_rcnn, "mask_rcnn": mask_rcnn, "retinanet": retinanet, "fcos": fcos}
_MASK_THRESHOLD = 0.5


@dataclass(frozen=True)
class Detections:
    """The objects found in one picture, best first.

    Attributes:
        boxes: (n, 4) float32 on the CPU, x_min y_min x_max y_max in pixels of the original picture.
        labels: (n,) int64, positions in the classes.
        scores: (n,) float32, 0..1.
        masks: (n, H, W) bool in the original picture, from a head that finds them.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    masks: Tensor | None = None

    def above(self, thresholds: Sequence[float]) -> "Detections":
        """Those whose score is at least their class's."""
        kept = self.scores >= torch.tensor(thresholds)[self.labels]
        masks = None if self.masks is None else self.masks[kept]
        return Detections(self.boxes[kept], self.labels[kept], self.scores[kept], masks)

    def as_coco(self, image_id: int, file_name: str) -> list[dict[str, Any]]:
        """As COCO's result files hold them; classes are numbered from 1."""
        corners = torch.cat([self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]], dim=1)
        rows = zip(corners.tolist(), self.labels.tolist(), self.scores.tolist(), strict=True)
        found: list[dict[str, Any]] = [
            {"image_id": image_id, "file_name": file_name, "category_id": label + 1, "bbox": box, "score": score}
            for box, label, score in rows
        ]
        if self.masks is None:
            return found
        packed = pack_masks(self.masks.numpy())
        return [item | {"segmentation": mask} for item, mask in zip(found, packed, strict=True)]


class DetectionTask:
    """A detector over named classes.

    Args:
        backbone: with its weights and its frozen stages.
        classes: the names, without a background.
        head: the head's settings.
        norm: of a v2 head; the backbone was made with the same.
        evaluator: who computes the COCO metrics, hotcoco or pycocotools.

    Raises:
        InputError: the backbone takes pictures of one size only, or lacks a level.
    """

    best_metric = "AP"

    def __init__(
        self,
        backbone: Backbone,
        classes: Sequence[str],
        head: HeadSettings,
        norm: str = "batch",
        evaluator: Evaluator = "hotcoco",
    ) -> None:
        if backbone.fixed_size is not None:
            height, width = backbone.fixed_size
            raise InputError(
                f"this backbone takes only pictures of {height} x {width} px; a detector's have many sizes"
            )
        self.backbone = backbone
        self.classes = tuple(classes)
        self.evaluator: Evaluator = evaluator
        self.with_masks = head.name in MASK_HEADS
        self.model: nn.Module = _DETECTORS[head.name](backbone, len(self.classes), head, norm)

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        # The background is label 0 to torchvision.
        targets = [target | {"labels": target["labels"] + 1} for target in batch.targets]
        return model(batch.images, targets)

    def predict(self, model: nn.Module, batch: Batch) -> list[Detections]:
        results: list[dict[str, Tensor]] = model(batch.images)
        return [
            _to_original(result, image, size)
            for result, image, size in zip(results, batch.images, batch.original_sizes, strict=True)
        ]

    def metric(self, samples: Indexed[Sample]) -> CocoMetric:
        return CocoMetric(samples, self.classes, self.evaluator, masks=self.with_masks)


def _to_original(result: dict[str, Tensor], image: Tensor, original: tuple[int, int]) -> Detections:
    height, width = image.shape[-2:]
    scale_x, scale_y = original[1] / width, original[0] / height
    boxes = result["boxes"].float().cpu() * torch.tensor([scale_x, scale_y, scale_x, scale_y])
    masks = None
    if "masks" in result:
        masks = paste_masks_in_image(result["masks"].float().cpu(), boxes, original)[:, 0] > _MASK_THRESHOLD
    return Detections(boxes, result["labels"].cpu() - 1, result["scores"].float().cpu(), masks)
