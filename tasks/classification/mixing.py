"""Images of a batch mixed with each other, and their labels with them; timm does it."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from timm.data import Mixup
from timm.data.mixup import mixup_target
from torch import Tensor


class Mixing:
    """mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019), one of them for each batch.

    The first image is mixed with the last, and so on; the last one of an odd batch stays as it is.

    Args:
        mixup, cutmix: alpha of each; 0 for none.
        label_smoothing: the share of a label that goes to all classes alike.
        classes: how many there are.
    """

    def __init__(self, mixup: float, cutmix: float, label_smoothing: float, classes: int) -> None:
        self._mixes = mixup > 0 or cutmix > 0
        self._classes, self._smoothing = classes, label_smoothing
        self._mixup = Mixup(mixup, cutmix, label_smoothing=label_smoothing, num_classes=classes)

    def __call__(self, images: Tensor, labels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Args:
            images: (N, C, H, W) of any type.
            labels: (N,) int64.
            seed: alone decides how they are mixed.

        Returns:
            The images, floats where they are mixed; and probabilities (N, classes).
        """
        even = len(images) - len(images) % 2
        if not self._mixes or not even:
            return images, mixup_target(labels, self._classes, smoothing=self._smoothing)
        with _numpy_seeded(seed):
            mixed, targets = self._mixup(images[:even].float(), labels[:even])
        if even == len(images):
            return mixed, targets
        last = mixup_target(labels[even:], self._classes, smoothing=self._smoothing)
        return torch.cat([mixed, images[even:].float()]), torch.cat([targets, last])


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """timm draws from numpy's global generator, which goes on afterwards as if untouched."""
    state = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        np.random.set_state(state)
