"""A trained model as a function of images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.assembly import task_from_checkpoint
from tasks.config import DataSettings
from tasks.data import Batch, read_image
from tasks.detection import THRESHOLD, Detections
from tasks.task import Task
from tasks.training import checkpoint_folder

_USUAL_THRESHOLD = 0.5

ImageInput = str | Path | NDArray[np.uint8]


class Predictor:
    """Calls a trained model on images of any size.

    Attributes:
        classes: the names; a label is a position in it.
        thresholds: for each class the score that gave the best F1 on the validation images; 0.5 where that is not
            known.
        finds_objects: whether it gives `Detections`, not labels.
    """

    def __init__(
        self,
        task: Task,
        data: DataSettings,
        precision: str,
        device: torch.device,
        metrics: Mapping[str, float],
    ) -> None:
        self.classes = task.classes
        self.finds_objects = task.name == "detection"
        self.thresholds = tuple(metrics.get(f"{THRESHOLD}/{name}", _USUAL_THRESHOLD) for name in task.classes)
        self._task = task
        self._device = device
        self._precision = precision
        self._transform = task.transform(data, train=False)
        task.model.to(device).to(memory_format=torch.channels_last).eval()

    def __call__(self, images: Sequence[ImageInput]) -> list[Any]:
        """Find the objects, or the class of every pixel.

        Args:
            images: paths, or uint8 RGB arrays (H, W, 3).

        Returns:
            One an image, in its own pixels: `Detections`, best first; or labels (H, W) int64.

        Raises:
            InputError: a file is no readable image.
        """
        return [self._predict(image) for image in images]

    def _predict(self, source: ImageInput) -> Detections | Tensor:
        image = source if isinstance(source, np.ndarray) else read_image(Path(source))
        resized = self._transform.resize(image)
        batch = Batch(
            images=[torch.from_numpy(resized).permute(2, 0, 1)],
            targets=[],
            indices=[0],
            names=[str(source) if not isinstance(source, np.ndarray) else "array"],
            original_sizes=[(image.shape[0], image.shape[1])],
        ).to(self._device)
        enabled = self._precision == "bf16"
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=enabled):
            found = self._task.predict(self._task.model, batch)[0]
        return found.cpu() if isinstance(found, Tensor) else found


def load_predictor(run: str | Path, device: str | torch.device | None = None) -> Predictor:
    """The predictor of a trained run.

    Args:
        run: a run's folder (its best checkpoint) or a checkpoint in it.
        device: None takes a GPU where there is one.

    Raises:
        InputError: there is no whole checkpoint.
    """
    task, description = task_from_checkpoint(checkpoint_folder(run))
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    data = DataSettings(image_size=description["image_size"], fit=description.get("fit", "crop"))
    metrics = description.get("metrics", {})
    return Predictor(task, data, description["precision"], torch.device(device), metrics)
