"""How often an image is seen in an epoch, where rare classes are to be seen more often."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.data.dataset.splits import Split

_NOTHING = 1e-9
Sampling = Literal["each", "repeat", "weighted"]


def epoch_repeat_factors(
    samples: Split[Any], classes: int, sampling: Sampling, threshold: float
) -> NDArray[np.float64] | None:
    """How often each image is seen, on average; None where each is seen once.

    Args:
        classes: how many there are.
        sampling: "repeat": images of rare classes more than once, by `repeat_factors`. "weighted": as many images
            as there are, chosen by `class_weights`.
        threshold: of the repeat factors.
    """
    if sampling == "each":
        return None
    presence = samples.class_presence(classes)
    return repeat_factors(presence, threshold) if sampling == "repeat" else class_weights(presence)


def repeat_factors(presence: NDArray[np.bool_], threshold: float) -> NDArray[np.float64]:
    """LVIS's (Gupta et al. 2019, section 5): a class on the share f of the images has max(1, sqrt(threshold / f)), an
    image the largest of its classes.

    Args:
        presence: (images, classes), which class is on which image.
    """
    share = presence.mean(axis=0)
    factors = np.sqrt(threshold / np.where(share > 0, share, threshold))
    return np.maximum(1.0, (presence * factors).max(axis=1, initial=1.0))


def class_weights(presence: NDArray[np.bool_]) -> NDArray[np.float64]:
    """In proportion to 1 over the number of images that show an image's rarest class, and so that the mean is 1. An
    image without objects weighs as one of the most frequent class."""
    number = presence.sum(axis=0)
    each = np.where(number > 0, 1 / np.maximum(number, 1), 0.0)
    weights = (presence * each).max(axis=1, initial=each[number > 0].min(initial=1.0))
    return weights / weights.mean()


def sample_positions(factors: NDArray[np.float64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every image comes floor(factor) times, and by systematic sampling once more or not; the sum is always the same.

    Returns:
        Positions, and which repeat of its image each is, from 0.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(factors))
    total = round(float(factors.sum()))
    whole = np.floor(factors).astype(np.int64)
    more = total - int(whole.sum())
    ends = np.cumsum(_with_sum(factors - whole, more)[order])
    marks = np.floor(ends + generator.random()).astype(np.int64)
    marks[-1] = more
    counts = whole.copy()
    counts[order] += np.diff(marks, prepend=0)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(np.arange(len(factors)), counts), np.arange(total) - first


def _with_sum(shares: NDArray[np.float64], wanted: int) -> NDArray[np.float64]:
    """Shares of 1 in the same proportions, as far as none becomes more than 1, with this sum."""
    found = shares
    while found.sum() > 0 and abs(found.sum() - wanted) > _NOTHING:
        free = found < 1
        found = np.where(free, np.minimum(found * ((wanted - (~free).sum()) / found[free].sum()), 1.0), 1.0)
    return found
