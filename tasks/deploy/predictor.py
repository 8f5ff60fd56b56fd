"""A trained model as a function of pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.config import DataSettings
from tasks.create import AnyTask, create_transform, task_from_checkpoint
from tasks.data.pictures import read_picture
from tasks.detection.metric import THRESHOLD
from tasks.detection.task import Detections
from tasks.task import Batch
from tasks.training.checkpoint import checkpoint_folder

_USUAL_THRESHOLD = 0.5

Picture = str | Path | NDArray[np.uint8]


class Predictor:
    """Calls a trained model on pictures of any size.

    Attributes:
        classes: the names; a label is a position in it.
        thresholds: for each class the score that gave the best F1 on the validation pictures; 0.5 where that is not
            known.
        finds_objects: whether it gives `Detections`, not labels.
    """

    def __init__(
        self,
        task: AnyTask,
        kind: str,
        data: DataSettings,
        precision: str,
        device: torch.device,
        metrics: Mapping[str, float],
    ) -> None:
        self.classes = task.classes
        self.finds_objects = kind == "detection"
        self.thresholds = tuple(metrics.get(f"{THRESHOLD}/{name}", _USUAL_THRESHOLD) for name in task.classes)
        self._task = task
        self._device = device
        self._precision = precision
        self._transform = create_transform(kind, data, train=False)
        task.model.to(device).to(memory_format=torch.channels_last).eval()

    def __call__(self, pictures: Sequence[Picture]) -> list[Any]:
        """Find the objects, or the class of every pixel.

        Args:
            pictures: paths, or uint8 RGB arrays (H, W, 3).

        Returns:
            One a picture, in its own pixels: `Detections`, best first; or labels (H, W) int64.

        Raises:
            InputError: a file is no readable picture.
        """
        return [self._predict(picture) for picture in pictures]

    def _predict(self, picture: Picture) -> Detections | Tensor:
        image = picture if isinstance(picture, np.ndarray) else read_picture(Path(picture))
        resized = self._transform.resize(image)
        batch = Batch(
            images=[torch.from_numpy(resized).permute(2, 0, 1)],
            targets=[],
            indices=[0],
            names=[str(picture) if not isinstance(picture, np.ndarray) else "array"],
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
    return Predictor(task, description["task"], data, description["precision"], torch.device(device), metrics)
