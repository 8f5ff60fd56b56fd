"""torchvision's detector parts in float32, whatever the convolutions computed in."""

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead


class Float32Anchors(AnchorGenerator):
    """torchvision makes anchors in the features' dtype, where bfloat16 would round 301 px to 302, and anew for every
    image. All images of a batch have the same here."""

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """One and the same (A, 4) for each image, level by level."""
        shapes = [level.new_zeros((), dtype=torch.float32).expand(level.shape) for level in feature_maps]
        alone = ImageList(image_list.tensors[:1], image_list.image_sizes[:1])
        return super().forward(alone, shapes) * len(image_list.image_sizes)


class Float32RPNHead(RPNHead):
    """Boxes are decoded, ranked and scored in float32 whatever the convolutions computed in."""

    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        logits, deltas = super().forward(x)
        return [level.float() for level in logits], [level.float() for level in deltas]


class Float32Predictor(FastRCNNPredictor):
    """Boxes are decoded, ranked and scored in float32 whatever the layers computed in."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits, deltas = super().forward(x)
        return logits.float(), deltas.float()


class Float32MaskPredictor(MaskRCNNPredictor):
    """Masks are scored in float32 whatever the layers computed in."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()
