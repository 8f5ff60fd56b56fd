"""A trained model as a function of pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.create import checkpoint_folder, task_from_checkpoint
from tasks.data.pictures import read_picture
from tasks.data.transforms import DetectionTransform
from tasks.detection.task import Detections, DetectionTask
from tasks.task import Batch

Picture = str | Path | NDArray[np.uint8]


class Predictor:
    """Calls a trained model on pictures of any size.

    Attributes:
        classes: the names; a label is a position in it.
    """

    def __init__(self, task: DetectionTask, image_size: int, precision: str, device: torch.device) -> None:
        self.classes = task.classes
        self._task = task
        self._device = device
        self._precision = precision
        self._transform = DetectionTransform(image_size)
        task.model.to(device).to(memory_format=torch.channels_last).eval()

    def __call__(self, pictures: Sequence[Picture]) -> list[Detections]:
        """Find the objects.

        Args:
            pictures: paths, or uint8 RGB arrays (H, W, 3).

        Returns:
            One `Detections` a picture, in its own pixels, best first.

        Raises:
            InputError: a file is no readable picture.
        """
        return [self._predict(picture) for picture in pictures]

    def _predict(self, picture: Picture) -> Detections:
        image = picture if isinstance(picture, np.ndarray) else read_picture(Path(picture))
        resized, _, _ = self._transform.apply(image, np.zeros((0, 4)), seed=0)
        batch = Batch(
            images=[torch.from_numpy(resized).permute(2, 0, 1)],
            targets=[],
            indices=[0],
            names=[str(picture) if not isinstance(picture, np.ndarray) else "array"],
            original_sizes=[(image.shape[0], image.shape[1])],
        ).to(self._device)
        enabled = self._precision == "bf16"
        with torch.inference_mode(), torch.autocast(self._device.type, torch.bfloat16, enabled=enabled):
            return self._task.predict(self._task.model, batch)[0]


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
    return Predictor(task, description["image_size"], description["precision"], torch.device(device))
