"""How near the boundaries that were found run to the true ones."""

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tasks.data import IGNORE

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def boundary_counts(found: Tensor, truth: Tensor, classes: int, tolerance: float) -> NDArray[np.int64]:
    """Boundary pixels of each class, found and true together, and how many of them have the other's boundary near.

    The boundary Dice of a set of images is the quotient of the sums (Nikolov et al. 2018, "Deep learning to achieve
    clinically applicable segmentation of head and neck anatomy", surface Dice). A boundary pixel belongs to the class
    and has a neighbour to its side that does not; where an image ends there is no boundary. Ignored pixels have none.

    Args:
        found, truth: labels (H, W).
        tolerance: in pixels.

    Returns:
        (classes, 2): near, all.
    """
    predicted, actual = found.cpu().numpy(), truth.cpu().numpy()
    counted = actual != IGNORE
    counts = np.zeros((classes, 2), np.int64)
    for label in range(classes):
        one, other = (_boundary(labels == label) & counted for labels in (predicted, actual))
        near = (one & (_distance(other) <= tolerance)).sum() + (other & (_distance(one) <= tolerance)).sum()
        counts[label] = near, one.sum() + other.sum()
    return counts


def _boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside = cv2.erode(mask.astype(np.uint8), _CROSS)  # what lies beyond the image erodes nothing
    return mask & (inside == 0)


def _distance(boundary: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Of every pixel to the nearest one of the boundary; far away where there is none."""
    if not boundary.any():
        return np.full(boundary.shape, np.inf, np.float32)
    return cv2.distanceTransform((~boundary).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # type: ignore[return-value]
