"""How often a picture is seen in an epoch, where rare classes are to be seen more often."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.data.samples import Split

Sampling = Literal["each", "repeat", "weighted"]


def times_an_epoch(
    samples: Split[Any], classes: int, sampling: Sampling, threshold: float
) -> NDArray[np.float64] | None:
    """How often each picture is seen, on average; None where each is seen once.

    Args:
        classes: how many there are.
        sampling: "repeat": pictures of rare classes more than once, by `repeat_factors`. "weighted": as many pictures
            as there are, chosen by `class_weights`.
        threshold: of the repeat factors.
    """
    if sampling == "each":
        return None
    shown = samples.shown(classes)
    return repeat_factors(shown, threshold) if sampling == "repeat" else class_weights(shown)


def repeat_factors(shown: NDArray[np.bool_], threshold: float) -> NDArray[np.float64]:
    """LVIS's (Gupta et al. 2019, section 5): a class on the share f of the pictures has max(1, sqrt(threshold / f)), a
    picture the largest of its classes.

    Args:
        shown: (pictures, classes), which class is on which picture.
    """
    share = shown.mean(axis=0)
    factors = np.sqrt(threshold / np.where(share > 0, share, threshold))
    return np.maximum(1.0, (shown * factors).max(axis=1, initial=1.0))


def class_weights(shown: NDArray[np.bool_]) -> NDArray[np.float64]:
    """In proportion to 1 over the number of pictures that show a picture's rarest class, and so that the mean is 1. A
    picture without objects weighs as one of the most frequent class."""
    number = shown.sum(axis=0)
    each = np.where(number > 0, 1 / np.maximum(number, 1), 0.0)
    weights = (shown * each).max(axis=1, initial=each[number > 0].min(initial=1.0))
    return weights / weights.mean()


def drawn(times: NDArray[np.float64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Systematic sampling: every picture comes floor(times) or ceil(times) times, the sum is always the same.

    Returns:
        Positions, and which time of its picture each is, from 0.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(times))
    total = round(float(times.sum()))
    ends = np.cumsum(times[order]) * (total / times.sum())
    ends[-1] = total
    marks = np.floor(ends + generator.random()).astype(np.int64)
    marks[-1] = total
    counts = np.zeros(len(times), np.int64)
    counts[order] = np.diff(marks, prepend=0)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(np.arange(len(times)), counts), np.arange(total) - first
