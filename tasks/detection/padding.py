"""Images of several sizes in one batch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
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
        height, width = padded_size(images)
        padded = [
            image if size == (height, width) else functional.pad(image, (0, width - size[1], 0, height - size[0]))
            for image, size in zip(images, sizes, strict=True)
        ]
        batch = self.normalize(torch.stack(padded)).contiguous(memory_format=torch.channels_last)
        if set(sizes) != {(height, width)}:
            batch.masked_fill_(_beyond(sizes, height, width, batch.device), 0.0)
        return ImageList(batch, sizes), targets

    def postprocess(self, detections: list[dict[str, Tensor]], *_sizes: object) -> list[dict[str, Tensor]]:
        """Boxes stay in pixels of the images that came in."""
        return detections


def _beyond(sizes: Sequence[tuple[int, int]], height: int, width: int, device: torch.device) -> Tensor:
    """(N, 1, height, width) bool: where images of these sizes are padded."""
    heights, widths = torch.tensor(sizes).to(device, non_blocking=True).unbind(1)
    rows, columns = (torch.arange(count, device=device) for count in (height, width))
    below, right = rows >= heights[:, None], columns >= widths[:, None]
    return (below[:, :, None] | right[:, None])[:, None]
