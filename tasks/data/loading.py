"""Samples into batches, in an order and with an augmentation that (seed, epoch, index) alone decide."""

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

from backbones.errors import InputError
from tasks.data.samples import Indexed, Split
from tasks.data.sampling import drawn
from tasks.data.transforms import sample_seed
from tasks.task import Batch

Key = tuple[int, int, int]  # (epoch, index, time of it in the epoch): all that a worker needs to know
Prepare = Callable[[Any, int], tuple[Tensor, dict[str, Tensor], tuple[int, int]]]


class EpochBatches(Sampler[list[Key]]):
    """Batches of keys, every picture once an epoch, or as often as `times` says.

    Args:
        count: pictures.
        batch_size: pictures a batch; the last one may be smaller.
        seed: of the order; None keeps the order of the samples.
        times: how often each picture is seen in an epoch, on average.
    """

    def __init__(self, count: int, batch_size: int, seed: int | None, times: NDArray[np.float64] | None = None) -> None:
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.times = times
        self.pictures = count if times is None else round(float(times.sum()))
        self.epoch = 0
        self.first_batch = 0
        self.step = 1

    def __len__(self) -> int:
        return -(-self.pictures // self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        keys = self._keys()
        for batch in range(self.first_batch, len(self), self.step):
            yield keys[batch * self.batch_size : (batch + 1) * self.batch_size]

    def _keys(self) -> list[Key]:
        if self.seed is None:
            return [(self.epoch, index, 0) for index in range(self.count)]
        seed = sample_seed(self.seed, self.epoch, self.count)
        order = torch.randperm(self.pictures, generator=torch.Generator().manual_seed(seed)).tolist()
        if self.times is None:
            return [(self.epoch, index, 0) for index in order]
        indices, repeats = (values.tolist() for values in drawn(self.times, seed))
        return [(self.epoch, indices[place], repeats[place]) for place in order]


@dataclass(frozen=True)
class _Example:
    index: int
    name: str
    image: Tensor
    target: dict[str, Tensor]
    original_size: tuple[int, int]


class _Pictures(Dataset[_Example | InputError]):
    def __init__(self, samples: Indexed[Any], prepare: Prepare, seed: int) -> None:
        self.samples = samples
        self.prepare = prepare
        self.seed = seed

    def __getitem__(self, key: Key) -> _Example | InputError:
        epoch, index, time = key
        sample = self.samples[index]
        try:
            image, target, original_size = self.prepare(sample, sample_seed(self.seed, epoch, index, time))
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
    # Ctrl-C reaches the whole process group, but is the trainer's to answer. (SIGTERM must keep its effect:
    # it is how Python ends these processes.)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Each worker is one process of several: threads within it would only compete.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


class Loader:
    """The batches of a split, epoch by epoch.

    Args:
        samples: the split.
        prepare: (sample, seed) -> (uint8 image (3, H, W), target, original (height, width)).
        batch_size: pictures a batch.
        workers: processes; any number gives the same batches.
        seed: of the augmentation, and of the order where `shuffle` is set.
        times: with `shuffle`, how often each picture is seen in an epoch, on average; None: once.
    """

    def __init__(
        self,
        samples: Split[Any],
        prepare: Prepare,
        *,
        batch_size: int,
        workers: int = 0,
        seed: int = 0,
        shuffle: bool = False,
        times: NDArray[np.float64] | None = None,
    ) -> None:
        self.samples = samples
        self._order = EpochBatches(len(samples), batch_size, seed if shuffle else None, times)
        self._loader = DataLoader(
            _Pictures(samples, prepare, seed),
            batch_sampler=self._order,
            num_workers=workers,
            collate_fn=_collate,
            worker_init_fn=_start_worker,
            # Forked workers share the index; spawned ones would each be sent a copy.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
            persistent_workers=workers > 0,
            # Its own generator: iterating must not draw from the one that the training draws from.
            generator=torch.Generator(),
        )

    def __len__(self) -> int:
        return len(self._order)

    @property
    def pictures(self) -> int:
        """How many an epoch has."""
        return self._order.pictures

    def batches(self, epoch: int = 0, first_batch: int = 0, step: int = 1) -> Iterator[Batch]:
        """The batches of an epoch, every `step`-th from `first_batch` on.

        Raises:
            InputError: a picture cannot be read.
        """
        self._order.epoch, self._order.first_batch, self._order.step = epoch, first_batch, step
        for batch in self._loader:
            if isinstance(batch, InputError):
                raise batch
            yield batch
