"""Weights for classes of very different frequency."""

import numpy as np

from tasks.data import IGNORE, Indexed, MaskedSample


def median_frequency_weights(samples: Indexed[MaskedSample], classes: int) -> tuple[float, ...]:
    """For each class the median of all frequencies over its own (Eigen and Fergus 2015, section 6.3.2).

    A class's frequency is its share of the pixels of those images that have it. One that never occurs weighs 0; no
    other does.
    """
    pixels, seen_in = np.zeros(classes), np.zeros(classes)
    for sample in samples:
        labels = sample.mask.labels()
        counts = np.bincount(labels[labels != IGNORE], minlength=classes)
        pixels += counts
        seen_in[counts > 0] += counts.sum()
    frequency = pixels / np.maximum(seen_in, 1)
    occurring = frequency > 0
    weights = np.zeros(classes)
    weights[occurring] = np.median(frequency[occurring]) / frequency[occurring]
    return tuple(float(f"{weight:.4g}") for weight in weights)
