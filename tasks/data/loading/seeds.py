"""Seeds of single samples."""

import numpy as np


def sample_seed(seed: int, epoch: int, index: int, repeat: int = 0) -> int:
    """The seed of one sample's augmentation, its `repeat`-th in this epoch, whoever loads it."""
    return int(np.random.SeedSequence((seed, epoch, index, *([repeat] if repeat else []))).generate_state(1)[0])
