"""What the loader gives, and the trainer hands to a task."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Images with their targets.

    Attributes:
        images: uint8 RGB (3, H, W) each, sizes may differ.
        targets: one mapping of tensors an image, in pixels of the image here; empty for prediction.
        indices: the images' positions in their split.
        names: their file names, for messages.
        original_sizes: (height, width) before resizing.
    """

    images: list[Tensor]
    targets: list[dict[str, Tensor]]
    indices: list[int]
    names: list[str]
    original_sizes: list[tuple[int, int]]

    def to(self, device: torch.device) -> "Batch":
        return replace(
            self,
            images=[image.to(device, non_blocking=True) for image in self.images],
            targets=[
                {key: value.to(device, non_blocking=True) for key, value in target.items()} for target in self.targets
            ],
        )
