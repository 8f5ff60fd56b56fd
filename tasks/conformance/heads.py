"""What the rest of the product relies on in a head, put to the test."""

import math
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from backbones import Check, changed_tensors, frozen_digests, keep_promises
from tasks.assembly import data_of, describe, task_from_checkpoint, task_from_settings
from tasks.config import HeadSettings, Settings, data_settings, settings_for
from tasks.data import IGNORE, Batch, Loader, open_data
from tasks.detection import Detections
from tasks.heads import head_named
from tasks.task import Task
from tasks.training import find_optimizer, find_schedule, save_checkpoint

_BACKBONE = "resnet18"
_SIDE = 64
_IMPORTS = """
import sys
from tasks.heads import head_named
head_named({name!r})
sys.exit("it imports torch" if "torch" in sys.modules else 0)
"""


def check_head(name: str, **settings: Any) -> tuple[Check, ...]:
    """Try everything that the rest of the product relies on, on a ResNet-18 and the built-in shapes, and print a
    table of it.

    Settings without torch, there and back through YAML and pickle; what the head says of its tensors; a training step
    that reaches every parameter, images without objects, frozen stages; predictions and metrics; a checkpoint.

    Args:
        name: of a head, one of an installed package or one of ours.
        settings: of the head, where its defaults are not to be tried.

    Returns:
        The checks, all of them passed.

    Raises:
        SettingsError: there is no such head, or it cannot be imported.
        ConformanceError: some did not pass; after the table was printed.
    """
    torch.manual_seed(0)
    return keep_promises(name, "a head", _Trial(head_named(name)(**settings)).checks())


class _Trial:
    def __init__(self, head: HeadSettings) -> None:
        self.head = head
        self.data_settings = data_settings(head.task)(count=4, image_size=_SIDE, batch_size=2, workers=0)
        self.data = open_data(self.data_settings, head.annotations)

    def checks(self) -> dict[str, Callable[[], str]]:
        return {
            "settings without torch": self.imports,
            "settings there and back": self.settings,
            "what it says of its tensors": self.tensors,
            "a training step": self.step,
            "images without objects": self.empty,
            "frozen stages": self.freezing,
            "predictions": self.predictions,
            "metrics": self.metrics,
            "a checkpoint": self.checkpoint,
        }

    def run_settings(self, **backbone: Any) -> Settings:
        kind = settings_for(type(self.head), find_optimizer("sgd"), find_schedule("cosine"))
        return kind(
            data=self.data_settings.model_dump(),
            backbone={"name": _BACKBONE} | backbone,
            head=self.head.model_dump(),
        )

    def make(self, classes: tuple[str, ...] | None = None) -> Task:
        return task_from_settings(self.run_settings(), classes or self.data.classes)[0]

    def loader(self, task: Task, *, train: bool) -> Loader:
        samples = self.data.splits["train"]
        masks = train and self.head.finds_masks
        transform = task.transform(self.data_settings, train=train, masks=masks, others=samples)
        return Loader(samples, transform, batch_size=2)

    def batch(self, task: Task, *, train: bool) -> Batch:
        return next(self.loader(task, train=train).batches())

    def predict(self, task: Task, batch: Batch) -> Sequence[Any]:
        task.model.eval()
        with torch.inference_mode():
            return task.predict(task.model, batch)

    def train_a_step(self, task: Task, batch: Batch) -> dict[str, float]:
        free = [parameter for parameter in task.model.parameters() if parameter.requires_grad]
        task.model.train()
        losses = task.losses(task.model, batch)
        for name, loss in losses.items():
            assert loss.dim() == 0, f"the loss {name} has the shape {tuple(loss.shape)}"
            assert math.isfinite(loss.item()), f"the loss {name} is {loss.item()}"
        torch.stack(list(losses.values())).sum().backward()
        torch.optim.SGD(free, lr=1e-3).step()
        return {name: loss.item() for name, loss in losses.items()}

    def imports(self) -> str:
        code = _IMPORTS.format(name=self.head.name)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr.strip().splitlines()[-1]
        return f"{len(type(self.head).model_fields)} settings"

    def settings(self) -> str:
        values = yaml.safe_load(yaml.safe_dump(self.head.model_dump()))
        assert type(self.head)(**values) == self.head, "YAML changes them"
        assert pickle.loads(pickle.dumps(self.head)) == self.head, "pickle changes them"
        return "YAML and pickle"

    def tensors(self) -> str:
        classes = self.data.classes
        tasks = [self.make(names) for names in (classes, (*classes, "one more"))]
        shapes = [{key: tensor.shape for key, tensor in task.model.state_dict().items()} for task in tasks]
        assert shapes[0].keys() == shapes[1].keys(), "the keys depend on the number of classes"
        prefix, layers = self.head.backbone_prefix, self.head.class_layers
        below = {key.removeprefix(prefix) for key in shapes[0] if key.startswith(prefix)}
        assert below == set(tasks[0].backbone.state_dict()), f"backbone_prefix {prefix!r}: the backbone is not there"
        changed = [key for key in shapes[0] if shapes[0][key] != shapes[1][key]]
        missing = [key for key in changed if not key.startswith(layers)]
        assert not missing, f"class_layers {layers}: {missing[0]} has a row a class too"
        stray = [key for key in shapes[0] if key.startswith(layers) and key not in changed]
        assert not stray, f"class_layers {layers}: {stray[0]} has no row a class"
        return f"the backbone at {prefix}, {len(changed)} tensors with a row a class"

    def step(self) -> str:
        task = self.make()
        losses = self.train_a_step(task, self.batch(task, train=True))
        for name, parameter in task.model.named_parameters():
            assert parameter.grad is not None or not parameter.requires_grad, (
                f"{name} has no gradient: several processes refuse it; build it with requires_grad=False, and name the "
                "levels that the head takes"
            )
        return ", ".join(f"{name} {value:.2f}" for name, value in losses.items())

    def empty(self) -> str:
        task = self.make()
        batch = self.batch(task, train=True)
        for target in batch.targets:
            for key, value in target.items():
                target[key] = torch.full_like(value, IGNORE) if key == "mask" else value[:0]
        self.train_a_step(task, batch)
        return "a finite loss"

    def freezing(self) -> str:
        task = self.make()
        task.backbone.pretrained = True  # random weights do here; they need no warning
        task.backbone.freeze("1-3")
        digests = frozen_digests(task.backbone)
        self.train_a_step(task, self.batch(task, train=True))
        assert not changed_tensors(task.backbone, digests), "a frozen tensor has changed in a training step"
        return "1-3: nothing frozen moved"

    def predictions(self) -> str:
        task = self.make()
        sizes = [(61, 97), (120, 64)]
        images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]
        originals = [(2 * height, 3 * width) for height, width in sizes]
        found = self.predict(task, Batch(images, [], [0, 1], ["a", "b"], originals))
        assert len(found) == len(images), f"{len(found)} predictions for {len(images)} images"
        for one, (height, width) in zip(found, originals, strict=True):
            if isinstance(one, Detections):
                limit = torch.tensor([width, height, width, height]) + 1e-3
                assert ((one.boxes >= 0) & (one.boxes <= limit)).all(), "boxes lie outside the original image"
                labels = one.labels
            else:
                shape, labels = tuple(one.shape), one
                assert shape == (height, width), f"labels of {shape} for {height} x {width} pixels"
            assert ((labels >= 0) & (labels < len(task.classes))).all(), "labels that are no classes"
        return ", ".join(f"{height} x {width}" for height, width in sizes)

    def metrics(self) -> str:
        task = self.make()
        metric = task.metric(self.data.splits["train"])
        for batch in self.loader(task, train=False).batches():
            metric.update(batch, self.predict(task, batch))
        return f"{task.best_metric} {metric.compute()[task.best_metric]:.3f}"

    def checkpoint(self) -> str:
        task = self.make()
        self.train_a_step(task, self.batch(task, train=True))
        with tempfile.TemporaryDirectory() as folder:
            save_checkpoint(Path(folder), task.model, describe(self.run_settings(), task.backbone, task.classes))
            again, description = task_from_checkpoint(Path(folder))
        assert data_of(description).image_size == _SIDE
        batch = self.batch(task, train=False)
        for one, other in zip(self.predict(task, batch), self.predict(again, batch), strict=True):
            same = one.boxes.equal(other.boxes) if isinstance(one, Detections) else one.equal(other)
            assert same, "predicts something else"
        return f"{len(task.model.state_dict())} tensors, the same predictions"
