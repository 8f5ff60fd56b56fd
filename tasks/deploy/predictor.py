"""A trained model as a function of images."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbones import InputError
from tasks.assembly import data_of, task_from_checkpoint
from tasks.config import DataSettings
from tasks.data import Batch, Intensity, Reading
from tasks.deploy.inputs import ImageInput, as_images, is_one
from tasks.detection import THRESHOLD
from tasks.task import Task
from tasks.training import autocast, checkpoint_folder, find_device, ready_to_predict

_USUAL_THRESHOLD = 0.5


class Predictor:
    """Calls a trained model on images of any size.

    Attributes:
        classes: the names; a label is a position in it.
        thresholds: for each class the score that gave the best F1 on the validation images; 0.5 where that is not
            known.
        task: detection, segmentation or classification.
        reading: the channels of images, and the levels of deep ones, as they were in training.
    """

    def __init__(
        self,
        task: Task,
        data: DataSettings,
        precision: str,
        device: torch.device,
        metrics: Mapping[str, float],
        batch_size: int = 8,
        compiled: bool = False,
    ) -> None:
        self.classes = task.classes
        self.task = task.name
        self.thresholds = tuple(metrics.get(f"{THRESHOLD}/{name}", _USUAL_THRESHOLD) for name in task.classes)
        self.reading = Reading(len(task.backbone.mean), Intensity.of(data.intensity))
        self._task = task
        self._device = device
        self._precision = precision
        self._batch_size = batch_size
        self._transform = task.transform(data, train=False, channels=self.reading.channels)
        self._model = ready_to_predict(task, device, compiled)

    def __call__(self, images: Iterable[ImageInput] | ImageInput) -> Any:
        """Find the objects, the class of every pixel, or that of the whole image.

        Args:
            images: one or several: paths, PIL images, and arrays or tensors, RGB or grey, (H, W), (H, W, C) or
                (C, H, W), of uint8 or of floats from 0 to 1. Alpha is dropped. Reversed views are as good as copies.

        Returns:
            One an image: `Detections`, best first, or labels (H, W) int64, both in its own pixels; or a probability for
            each class, (classes,) float32. A list, or for a single image its own.

        Raises:
            InputError: something is no image that can be read.
        """
        named = as_images(images, self.reading)
        found = [one for batch in _batches(named, self._batch_size) for one in self._predict(batch)]
        return found[0] if is_one(images) else found

    def _predict(self, named: list[tuple[str, NDArray[np.uint8]]]) -> list[Any]:
        batch = Batch(
            images=[torch.from_numpy(self._transform.resize(image)).permute(2, 0, 1) for _, image in named],
            targets=[],
            indices=list(range(len(named))),
            names=[name for name, _ in named],
            original_sizes=[(image.shape[0], image.shape[1]) for _, image in named],
        ).to(self._device)
        with torch.inference_mode(), autocast(self._device, self._precision):
            found = self._task.predict(self._model, batch)
        return [one.cpu() if isinstance(one, Tensor) else one for one in found]


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def load_predictor(
    run: str | Path, device: str | torch.device | None = None, batch_size: int = 8, compiled: bool = False
) -> Predictor:
    """The predictor of a trained run.

    Args:
        run: a run's folder (its best checkpoint) or a checkpoint in it.
        device: None or "auto" takes a GPU where there is one.
        batch_size: how many images go through the model at once; the results are those of one by one.
        compiled: the parts that compute on whole maps, by torch.compile; some seconds at the first images, and again
            at the first ones of other sizes.

    Raises:
        InputError: there is no whole checkpoint or no such device, or this machine cannot compile.
    """
    device = find_device("auto" if device is None else str(device))
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size}: at least one image goes through the model")
    task, description = task_from_checkpoint(checkpoint_folder(run))
    data = data_of(description)
    metrics = description.get("metrics", {})
    return Predictor(task, data, description["precision"], device, metrics, batch_size, compiled)
