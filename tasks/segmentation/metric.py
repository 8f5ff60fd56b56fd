"""IoU, Dice and pixel accuracy from one confusion matrix over a whole split."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbones import InputError
from tasks.data import IGNORE, Batch, Indexed, MaskedSample
from tasks.segmentation.boundary import boundary_counts

ABSENT = -1.0


class SegmentationMetric:
    """One confusion matrix over all pixels of all images; ignored pixels count nowhere.

    Images are known by their position in `samples`, so one that comes twice counts once.

    Args:
        samples: what is to be evaluated.
        classes: the names.
        boundary_tolerance: in pixels, for the boundary Dice; None leaves it out.
    """

    def __init__(
        self, samples: Indexed[MaskedSample], classes: Sequence[str], boundary_tolerance: float | None = None
    ) -> None:
        self.samples = samples
        self.boundary_tolerance = boundary_tolerance
        self.classes = tuple(classes)
        self._seen: set[int] = set()
        self.confusion = torch.zeros(len(self.classes), len(self.classes), dtype=torch.int64)
        self.boundaries = np.zeros((len(self.classes), 2), np.int64)

    def update(self, batch: Batch, predictions: Sequence[Tensor]) -> None:
        """Add labels (H, W) in the original images' pixels; the truth is the batch's."""
        for index, name, found, target in zip(batch.indices, batch.names, predictions, batch.targets, strict=True):
            if index not in self._seen:
                self._seen.add(index)
                truth, classes = target["mask"].cpu(), len(self.classes)
                self.confusion += confusion_matrix(found.cpu(), truth, classes, name)
                if self.boundary_tolerance is not None:
                    self.boundaries += boundary_counts(found, truth, classes, self.boundary_tolerance)

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """What this process has seen, for the others."""
        seen = np.array(sorted(self._seen), np.int64)
        return {"seen": seen, "confusion": self.confusion.numpy(), "boundaries": self.boundaries}

    def merge(self, arrays: Mapping[str, NDArray[np.int64]]) -> None:
        """Add what another process has seen, which is none of what this one has.

        Raises:
            RuntimeError: both have seen an image; its pixels are in both sums.
        """
        seen = set(arrays["seen"].tolist())
        if self._seen & seen:
            raise RuntimeError(f"{len(self._seen & seen)} images were evaluated by two processes")
        self._seen |= seen
        self.confusion += torch.from_numpy(arrays["confusion"])
        self.boundaries += arrays["boundaries"]

    def compute(self) -> dict[str, float]:
        """The metrics of `segmentation_metrics`, `images`, how many images were evaluated, and, with a tolerance,
        boundary_Dice and boundary_Dice/<class>.

        Raises:
            RuntimeError: an image of the split was not predicted.
        """
        missing = len(self.samples) - len(self._seen)
        if missing:
            raise RuntimeError(f"{missing} of {len(self.samples)} images were not predicted")
        metrics = segmentation_metrics(self.confusion, self.classes) | {"images": len(self.samples)}
        if self.boundary_tolerance is None:
            return metrics
        near, pixels = self.boundaries.T
        dice = np.where(pixels > 0, near / np.maximum(pixels, 1), ABSENT)
        metrics["boundary_Dice"] = float(dice[pixels > 0].mean()) if pixels.any() else ABSENT
        return metrics | {f"boundary_Dice/{name}": float(value) for name, value in zip(self.classes, dice, strict=True)}


def confusion_matrix(found: Tensor, truth: Tensor, classes: int, name: str = "an image") -> Tensor:
    """int64 (classes, classes): pixels by true class (rows) and predicted class (columns).

    Args:
        found, truth: labels (H, W); `IGNORE` in the truth counts nowhere.
        name: what messages call the image.

    Raises:
        InputError: sizes differ, or a label is beyond the classes.
    """
    if found.shape != truth.shape:
        raise InputError(f"{name}: the prediction is {_size(found)}, the mask {_size(truth)} pixels")
    valid = truth != IGNORE
    rows, columns = truth[valid].long(), found[valid].long()
    for what, labels in (("mask", rows), ("prediction", columns)):
        if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
            beyond = labels[(labels < 0) | (labels >= classes)][0].item()
            raise InputError(f"{name}: its {what} has the label {beyond}; there are {classes} classes, from 0")
    return torch.bincount(rows * classes + columns, minlength=classes * classes).reshape(classes, classes)


def _size(labels: Tensor) -> str:
    return " x ".join(map(str, labels.shape))


def segmentation_metrics(confusion: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """mIoU, IoU/<class>, Dice/<class> and pixel_accuracy, each 0..1.

    A class that is neither there nor predicted is absent: -1, and not in the mean.
    """
    matrix = confusion.double()
    hits, truth, found = matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0)
    union = truth + found - hits
    occurring = union > 0
    iou = torch.where(occurring, hits / union.clamp(min=1), ABSENT)
    dice = torch.where(occurring, 2 * hits / (truth + found).clamp(min=1), ABSENT)
    total = matrix.sum()
    metrics = {
        "mIoU": iou[occurring].mean().item() if occurring.any() else ABSENT,
        "pixel_accuracy": (hits.sum() / total).item() if total else ABSENT,
    }
    metrics |= {f"IoU/{name}": value.item() for name, value in zip(classes, iou, strict=True)}
    return metrics | {f"Dice/{name}": value.item() for name, value in zip(classes, dice, strict=True)}
