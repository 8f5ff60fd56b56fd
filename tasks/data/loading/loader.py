"""Samples into batches, in an order and with an augmentation that (seed, epoch, index) alone decide."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from backbones import InputError
from tasks.data.dataset.splits import Indexed, Split
from tasks.data.loading.batch import Batch
from tasks.data.loading.sampling import sample_positions
from tasks.data.loading.seeds import sample_seed

Key = tuple[int, int, int]  # (epoch, index, repeat of it in the epoch): all that a worker needs to know
Transform = Callable[[Any, int], tuple[Tensor, dict[str, Tensor], tuple[int, int]]]


class EpochBatches(Sampler[list[Key]]):
    """Batches of keys, every image once an epoch, or as often as the repeat factors say.

    Args:
        count: images.
        batch_size: images a batch; the last one may be smaller.
        seed: of the order; None keeps the order of the samples.
        repeat_factors: how often each image is seen in an epoch, on average.
    """

    def __init__(
        self, count: int, batch_size: int, seed: int | None, repeat_factors: NDArray[np.float64] | None = None
    ) -> None:
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.repeat_factors = repeat_factors
        self.images = count if repeat_factors is None else round(float(repeat_factors.sum()))
        self.epoch = 0
        self.first_batch = 0
        self.step = 1

    def __len__(self) -> int:
        return -(-self.images // self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        keys = self._keys()
        for batch in range(self.first_batch, len(self), self.step):
            yield keys[batch * self.batch_size : (batch + 1) * self.batch_size]

    def _keys(self) -> list[Key]:
        if self.seed is None:
            return [(self.epoch, index, 0) for index in range(self.count)]
        seed = sample_seed(self.seed, self.epoch, self.count)
        order = torch.randperm(self.images, generator=torch.Generator().manual_seed(seed)).tolist()
        if self.repeat_factors is None:
            return [(self.epoch, index, 0) for index in order]
        indices, repeats = (values.tolist() for values in sample_positions(self.repeat_factors, seed))
        return [(self.epoch, indices[place], repeats[place]) for place in order]


@dataclass(frozen=True)
class _Example:
    index: int
    name: str
    image: Tensor
    target: dict[str, Tensor]
    original_size: tuple[int, int]


class _Examples(Dataset[_Example | InputError]):
    def __init__(self, samples: Indexed[Any], transform: Transform, seed: int) -> None:
        self.samples = samples
        self.transform = transform
        self.seed = seed

    def __getitem__(self, key: Key) -> _Example | InputError:
        epoch, index, repeat = key
        sample = self.samples[index]
        try:
            image, target, original_size = self.transform(sample, sample_seed(self.seed, epoch, index, repeat))
        except InputError as error:
            # Raised in a worker it would come back as a page of traceback; `batches` raises it.
            return error
        return _Example(index, sample.name, image, target, original_size)


def _collate(examples: list[_Example | InputError]) -> Batch | InputError:
    whole: list[_Example] = []
    for example in examples:
        if isinstance(example, InputError):
            return example
        whole.append(example)
    return Batch(
        images=[example.image for example in whole],
        targets=[example.target for example in whole],
        indices=[example.index for example in whole],
        names=[example.name for example in whole],
        original_sizes=[example.original_size for example in whole],
    )


def _start_worker(_worker: int) -> None:
    # Ctrl-C and a batch system's SIGTERM go to a whole group of processes, but are the trainer's to answer. (SIGTERM
    # must keep its effect: it is how Python ends these processes.)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    # Each worker is one process of several: threads within it would only compete.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


class Loader:
    """The batches of a split, epoch by epoch.

    Args:
        samples: the split.
        transform: (sample, seed) -> (uint8 image (3, H, W), target, original (height, width)).
        batch_size: images a batch.
        workers: processes; any number gives the same batches.
        seed: of the augmentation, and of the order where `shuffle` is set.
        repeat_factors: with `shuffle`, how often each image is seen in an epoch, on average; None: once.
    """

    def __init__(
        self,
        samples: Split[Any],
        transform: Transform,
        *,
        batch_size: int,
        workers: int = 0,
        seed: int = 0,
        shuffle: bool = False,
        repeat_factors: NDArray[np.float64] | None = None,
    ) -> None:
        self.samples = samples
        self._order = EpochBatches(len(samples), batch_size, seed if shuffle else None, repeat_factors)
        self._loader = DataLoader(
            _Examples(samples, transform, seed),
            batch_sampler=self._order,
            num_workers=workers,
            collate_fn=_collate,
            worker_init_fn=_start_worker,
            # Forked workers share the table; spawned ones would each be sent a copy.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
            persistent_workers=workers > 0,
            # Its own generator: iterating must not draw from the training's own.
            generator=torch.Generator(),
        )

    def __len__(self) -> int:
        return len(self._order)

    @property
    def images(self) -> int:
        """How many an epoch has."""
        return self._order.images

    def batches(self, epoch: int = 0, first_batch: int = 0, step: int = 1) -> Iterator[Batch]:
        """The batches of an epoch, every `step`-th from `first_batch` on.

        Raises:
            InputError: an image cannot be read.
        """
        self._order.epoch, self._order.first_batch, self._order.step = epoch, first_batch, step
        for batch in self._loader:
            if isinstance(batch, InputError):
                raise batch
            yield batch
