"""What a detector finds in an image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tasks.detection.masks import PackedMasks


@dataclass(frozen=True)
class Detections:
    """The objects found in one image, best first.

    Attributes:
        boxes: (n, 4) float32 on the CPU, x_min y_min x_max y_max in pixels of the original image.
        labels: (n,) int64, positions in the classes.
        scores: (n,) float32, 0..1.
        masks: n of them in the original image, from a head that finds them; see `PackedMasks`.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    masks: PackedMasks | None = None

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
        packed = self.masks.as_coco()
        return [item | {"segmentation": mask} for item, mask in zip(found, packed, strict=True)]


def to_original(result: dict[str, Tensor], image: Tensor, original: tuple[int, int]) -> Detections:
    """What torchvision's detectors give for an image, in the original image's pixels.

    Args:
        result: "boxes", "labels" from 1, "scores" and perhaps "masks".
        image: (C, H, W), as the detector saw it.
        original: (height, width).
    """
    height, width = image.shape[-2:]
    scale_x, scale_y = original[1] / width, original[0] / height
    boxes = result["boxes"].float().cpu() * torch.tensor([scale_x, scale_y, scale_x, scale_y])
    masks = None
    if "masks" in result:
        masks = PackedMasks.in_boxes(result["masks"].float().cpu(), boxes, original)
    return Detections(boxes, result["labels"].cpu() - 1, result["scores"].float().cpu(), masks)
