"""Our side: a task as a training prepares it, and the trainer's own step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backbones import create_backbone
from tasks.assembly import create_task
from tasks.benchmark.comparisons.images import CLASSES, make_batches
from tasks.benchmark.comparisons.line import Conditions
from tasks.config import HeadSettings, Settings, settings_for
from tasks.data import Batch
from tasks.heads import head_named
from tasks.task import Task
from tasks.training import Stepper, find_optimizer, find_schedule

# As in the first steps of a warm-up: the weights stay what they were, and so does what there is to do.
LEARNING_RATE = 1e-6
_PRECISION = "bf16"  # of our recipes
_CALIBRATED_ON = 4  # images
_BRANCH = 0.2  # weight of the last norm of a residual branch


@dataclass(frozen=True)
class Ours:
    """A task with random weights and the batches that it is timed with; on the CPU."""

    task: Task
    settings: Settings
    batches: Sequence[Batch]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """In training and float32."""
        device = next(self.task.model.parameters()).device
        self.task.model.train()
        return self.task.losses(self.task.model, batch.to(device))

    def step_on(self, device: torch.device) -> Callable[[Batch], object]:
        """The trainer's own step, with the model on this device."""
        model = self.task.model.to(device).to(memory_format=torch.channels_last).train()
        stepper = Stepper(self.task, model, self.settings, device, print)

        def step(batch: Batch) -> object:
            model.train()
            return stepper(batch, 1, LEARNING_RATE, [])

        return step

    def stepper(self, device: torch.device) -> Callable[[int], object]:
        """The same, on the batch of a number."""
        step = self.step_on(device)
        return lambda number: step(self.batches[number % len(self.batches)])


def prepare(head: str, conditions: Conditions, *, freeze: str, optimizer: str) -> Ours:
    """The backbone's norms hold the statistics of the images themselves, so that nothing overflows on the way through a
    deep network of random weights; it counts as pretrained, so that norms are held where a finetuning holds them.

    Args:
        freeze: stages, as `--freeze` has them.
    """
    torch.manual_seed(conditions.seed)
    settings = head_named(head)()
    batches = make_batches(settings, conditions)
    backbone = create_backbone(conditions.backbone)
    backbone.pretrained = True
    task = create_task(settings.task, backbone, CLASSES[settings.task], head=settings)
    calibrate(backbone, torch.stack(batches[0].images[:_CALIBRATED_ON]).float() / 128 - 1)
    backbone.freeze(freeze)
    backbone.hold_norms(settings.holds_norms)
    return Ours(task, _settings(settings, optimizer, conditions), batches)


def calibrate(network: nn.Module, images: Tensor) -> None:
    """Make random weights behave as trained ones do: running statistics become those of these images, and residual
    branches are small against what they are added to. Otherwise rounding grows from block to block."""
    for block in network.modules():
        last = getattr(block, "bn3", getattr(block, "bn2", None))
        if isinstance(last, nn.BatchNorm2d):
            nn.init.constant_(last.weight, _BRANCH)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(images)
    for norm, before in zip(norms, momentum, strict=True):
        norm.momentum = before


def _settings(head: HeadSettings, optimizer: str, conditions: Conditions) -> Settings:
    kind = settings_for(type(head), find_optimizer(optimizer), find_schedule("cosine"))
    return kind(head=head, precision=_PRECISION, seed=conditions.seed, device=conditions.device)
