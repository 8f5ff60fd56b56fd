"""What turns images into the floats that a backbone's weights expect."""

import torch
from torch import Tensor, nn

from backbones.features import Backbone

_WHITE = 255


class Normalize(nn.Module):
    """(image / 255 - mean) / std, with the mean and std that the backbone has when this is called.

    The backbone's tuples stay the only owner: weights that are loaded later, and bring a mean and std of their own,
    are followed. Nothing of this is in the state dict.

    Args:
        backbone: whose weights are fed.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        # In a tuple: as a child of this module the backbone would be in the state dict a second time.
        self._backbone = (backbone,)
        self._statistics = (backbone.mean, backbone.std)
        for name, values in zip(("mean", "std"), self._statistics, strict=True):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (C, H, W) or (N, C, H, W) -> float32 of the same shape."""
        self._follow(self._backbone[0])
        return (images.float() / _WHITE - self.mean) / self.std

    def _follow(self, backbone: Backbone) -> None:
        statistics = (backbone.mean, backbone.std)
        if statistics != self._statistics:
            self._statistics = statistics
            self.mean, self.std = (
                torch.tensor(values, device=self.mean.device)[:, None, None] for values in statistics
            )
