"""Runs as they were before checkpoints had a format: writes detection.json and segmentation.json.

They were written at commit 8f18a41, the last one without formats, from its root:

    python write.py FOLDER

A file holds what the run's folder held, as JSON: config.yaml, model.json and the training state. Of the tensors it has
names, shapes and a seed, from which `tensors` makes them; and it holds what that commit found with them.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

SEED = 8
HEADS: dict[str, dict[str, Any]] = {
    "detection": {"name": "faster_rcnn", "channels": 16, "representation": 16, "anchor_scale": 2.8},
    "segmentation": {"name": "unet", "decoder_channels": (32, 24, 16), "loss": "dice"},
}


def tensors(shapes: Mapping[str, Sequence[int]], seed: int) -> dict[str, Tensor]:
    """Weights of about the size that training gives, from numpy's legacy generator, whose stream is frozen."""
    generator = np.random.RandomState(seed)
    state = {}
    for name, shape in shapes.items():
        values = generator.standard_normal(shape)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(2)
            continue
        if name.endswith("running_var"):
            values = 1 + 0.1 * np.abs(values)
        elif len(shape) > 1:
            # Small where boxes and classes are decided, so that they differ from place to place.
            values *= np.sqrt(2 / np.prod(shape[1:])) * (0.2 if "box_predictor" in name or "rpn.head" in name else 1)
        else:
            values = (0.9 if name.endswith("weight") else 0.0) + 0.02 * values
        state[name] = torch.tensor(values, dtype=torch.float32)
    return state


def image() -> Any:
    """uint8 (64, 64, 3)."""
    return np.random.RandomState(SEED).randint(0, 256, (64, 64, 3)).astype(np.uint8)


def _run(task_name: str, folder: Path) -> dict[str, Any]:
    from rich.console import Console
    from tasks.create import create_task, create_transform, describe
    from tasks.data.open import open_data

    from backbones import create_backbone
    from tasks.config import Settings
    from tasks.data.loading import Loader
    from tasks.deploy.predictor import load_predictor
    from tasks.training.checkpoint import TrainingState, save_checkpoint
    from tasks.training.run import Run
    from tasks.training.trainer import evaluate

    settings = Settings(
        task=task_name,
        data={"count": 8, "image_size": 64, "workers": 0},
        backbone={"name": "resnet18"},
        head=HEADS[task_name],
    )
    data = open_data(settings.data, task_name)
    backbone = create_backbone("resnet18")
    task = create_task(task_name, backbone, data.classes, head=settings.head)
    shapes = {name: list(tensor.shape) for name, tensor in task.model.state_dict().items()}
    task.model.load_state_dict(tensors(shapes, SEED))
    loader = Loader(data.splits["val"], create_transform(task_name, settings.data, train=False), batch_size=4)
    metrics = evaluate(task, task.model, loader, torch.device("cpu"), "fp32", Console(quiet=True))
    run = Run(folder)
    run.start(settings)
    description = describe(settings, backbone, data.classes) | {"epoch": 1, "step": 2, "metrics": metrics}
    state = TrainingState(epoch=1, step=2, pictures="a digest")
    save_checkpoint(run.best, task.model, description)
    found = load_predictor(folder)([image()])[0]
    if task_name == "detection":
        predicted = {name: getattr(found, name)[:10].tolist() for name in ("boxes", "labels", "scores")}
    else:
        predicted = {"pixels": torch.bincount(found.flatten(), minlength=len(data.classes)).tolist()}
    return {
        "config.yaml": run.config.read_text(),
        "model.json": description,
        "training.pt": vars(state),
        "shapes": shapes,
        "metrics": metrics,
        "predicted": predicted,
    }


if __name__ == "__main__":
    output = Path(sys.argv[1])
    for name in HEADS:
        content = _run(name, output / name)
        Path(__file__).with_name(f"{name}.json").write_text(json.dumps(content) + "\n")
