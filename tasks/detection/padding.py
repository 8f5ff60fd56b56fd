"""Images of several sizes in one batch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from backbones import Backbone, InputError, Normalize

_SIZE_DIVISOR = 32


def check_sizes(backbone: Backbone) -> None:
    """Raise where a backbone takes images of one size only."""
    if backbone.fixed_size is not None:
        height, width = backbone.fixed_size
        raise InputError(f"this backbone takes only images of {height} x {width} px; a detector's have many sizes")


def padded_size(images: Sequence[Tensor]) -> tuple[int, int]:
    """(height, width) of the batch that images (C, H, W) make: the largest, rounded up to multiples of 32."""
    height, width = (max(int(image.shape[axis]) for image in images) for axis in (1, 2))
    return -(-height // _SIZE_DIVISOR) * _SIZE_DIVISOR, -(-width // _SIZE_DIVISOR) * _SIZE_DIVISOR


class PaddedBatch(nn.Module):
    """Stands where torchvision's detectors resize and normalise: uint8 images in, a padded batch out.

    Images were resized by the data's transform. Padding is zero after normalisation, the mean colour, as in
    torchvision.

    Args:
        backbone: whose mean and std are applied.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.normalize = Normalize(backbone)

    def forward(
        self, images: list[Tensor], targets: list[dict[str, Tensor]] | None
    ) -> tuple[ImageList, list[dict[str, Tensor]] | None]:
        """[(C, H, W), ...] -> (N, C, H', W') in channels-last, H' and W' the largest, rounded up to multiples of 32."""
        sizes = [(int(image.shape[1]), int(image.shape[2])) for image in images]
        shape = (len(images), images[0].shape[0], *padded_size(images))
        batch = torch.empty(shape, device=images[0].device, memory_format=torch.channels_last).zero_()
        for row, image in zip(batch, images, strict=True):
            row[:, : image.shape[1], : image.shape[2]] = self.normalize(image)
        return ImageList(batch, sizes), targets

    def postprocess(self, detections: list[dict[str, Tensor]], *_sizes: object) -> list[dict[str, Tensor]]:
        """Boxes stay in pixels of the images that came in."""
        return detections
