"""Samples into batches, in an order and with an augmentation that (seed, epoch, index) alone decide."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from backbones import InputError
from tasks.data.dataset.splits import Indexed, Split
from tasks.data.loading.batch import Batch, share_sizes
from tasks.data.loading.sampling import sample_positions
from tasks.data.loading.seeds import sample_seed
from tasks.data.loading.workers import WhatIsRead, WorkerError, set_up_worker

Key = tuple[int, int, int]  # (epoch, index, repeat of it in the epoch): all that a worker needs to know
Transform = Callable[[Any, int], tuple[Tensor, dict[str, Tensor], tuple[int, int]]]


class EpochBatches(Sampler[list[Key]]):
    """Batches of keys, every image once an epoch, or as often as the repeat factors say.

    Args:
        count: images.
        batch_size: images a batch; the last one may be smaller.
        seed: of the order; None keeps the order of the samples.
        repeat_factors: how often each image is seen in an epoch, on average.
        share: (number, how many): the part of every batch that is given.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int | None,
        repeat_factors: NDArray[np.float64] | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.repeat_factors = repeat_factors
        self.share = share
        self.images = count if repeat_factors is None else round(float(repeat_factors.sum()))
        self.epoch = 0
        self.first_batch = 0
        self.step = 1

    def __len__(self) -> int:
        return -(-self.images // self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        keys = self._keys()
        for batch in self.numbers():
            whole = keys[batch * self.batch_size : (batch + 1) * self.batch_size]
            start, size = self.part_of(len(whole))
            yield whole[start : start + size] or whole[:1]

    def numbers(self) -> range:
        """Of the batches that are given."""
        return range(self.first_batch, len(self), self.step)

    def size(self, batch: int) -> int:
        """Of a whole batch."""
        return min(self.batch_size, self.images - batch * self.batch_size)

    def part_of(self, size: int) -> tuple[int, int]:
        """Where the share of a batch of this size begins, and how many images it has."""
        number, count = self.share
        sizes = share_sizes(size, count)
        return sum(sizes[:number]), sizes[number]

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
    seed: int


class _Examples(Dataset[_Example | InputError]):
    def __init__(self, samples: Indexed[Any], transform: Transform, seed: int, reading: WhatIsRead) -> None:
        self.samples = samples
        self.transform = transform
        self.seed = seed
        self.reading = reading

    def __getitem__(self, key: Key) -> _Example | InputError:
        epoch, index, repeat = key
        self.reading.note(index)
        sample, seed = self.samples[index], sample_seed(self.seed, epoch, index, repeat)
        try:
            image, target, original_size = self.transform(sample, seed)
        except InputError as error:
            # Raised in a worker it would come back as a page of traceback; `batches` raises it.
            return error
        return _Example(index, sample.name, image, target, original_size, seed)


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
        seeds=[example.seed for example in whole],
    )


class Loader:
    """The batches of a split, epoch by epoch.

    Args:
        samples: the split.
        transform: (sample, seed) -> (uint8 image (3, H, W), target, original (height, width)).
        batch_size: images a batch.
        workers: processes; any number gives the same batches.
        seed: of the augmentation, and of the order where `shuffle` is set.
        repeat_factors: with `shuffle`, how often each image is seen in an epoch, on average; None: once.
        share: (number, how many): the part of every batch that is given; of a batch too small for a part in it, an
            image that is another share's.
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
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.samples = samples
        self._order = EpochBatches(len(samples), batch_size, seed if shuffle else None, repeat_factors, share)
        self._reading = WhatIsRead(workers)
        self._loader = DataLoader(
            _Examples(samples, transform, seed, self._reading),
            batch_sampler=self._order,
            num_workers=workers,
            collate_fn=_collate,
            worker_init_fn=set_up_worker,
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

    def failure(self, error: Exception) -> WorkerError | None:
        """What to say where torch reports, wherever the trainer is just then, that a process which reads images is
        gone, or fails since one is; None where the error is another."""
        if isinstance(error, WorkerError):
            return error
        workers = getattr(getattr(self._loader, "_iterator", None), "_workers", [])
        return self._reading.failure(error, self.samples, [worker.pid for worker in workers if not worker.is_alive()])

    def batches(self, epoch: int = 0, first_batch: int = 0, step: int = 1) -> Iterator[Batch]:
        """The batches of an epoch, every `step`-th from `first_batch` on.

        Raises:
            InputError: an image cannot be read.
            WorkerError: a process that reads images has died.
        """
        self._order.epoch, self._order.first_batch, self._order.step = epoch, first_batch, step
        batches = iter(self._loader)
        for number in self._order.numbers():
            try:
                batch = next(batches)
            except (RuntimeError, OSError, EOFError) as error:
                raise self.failure(error) or error from None
            if isinstance(batch, InputError):
                raise batch
            size = self._order.size(number)
            yield replace(batch, step_images=size, takes_part=self._order.part_of(size)[1] > 0)
