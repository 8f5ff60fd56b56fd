"""What turns images into the floats that a backbone's weights expect."""

import torch
from torch import Tensor, nn

from backbones.features import Backbone

_WHITE = 255


class Normalize(nn.Module):
    """(image / 255 - mean) / std, with the mean and std that the backbone has when this is called.

    The backbone's tuples are the only owner: weights that are loaded later, and bring a mean and std of their own, are
    followed. This module has neither parameters nor buffers: nothing of it is in a state dict, and a model that was
    made on the meta device has nothing to fill.

    Args:
        backbone: whose weights are fed.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        # In a tuple: as a child of this module the backbone would be in the state dict a second time.
        self._backbone = (backbone,)
        self._made_for: tuple[object, ...] = ()
        self._statistics: tuple[Tensor, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (C, H, W) or (N, C, H, W) -> float32 of the same shape."""
        mean, std = self._on(images.device)
        return (images.float() / _WHITE - mean) / std

    def _on(self, device: torch.device) -> tuple[Tensor, ...]:
        (backbone,) = self._backbone
        wanted = (backbone.mean, backbone.std, device)
        if wanted != self._made_for:  # copying them at every call would make the host wait for the device
            with torch.inference_mode(False):
                self._statistics = tuple(torch.tensor(values, device=device)[:, None, None] for values in wanted[:2])
            self._made_for = wanted
        return self._statistics
