"""Detectors against torchvision's of the same weights."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tasks.benchmark.comparisons.checks import detections_agree, gradients_agree, losses_agree
from tasks.benchmark.comparisons.images import CLASSES
from tasks.benchmark.comparisons.line import Agreement, Conditions, Pair
from tasks.benchmark.comparisons.ours import LEARNING_RATE, Ours, prepare
from tasks.benchmark.comparisons.torchvision_detectors import (
    for_torchvision,
    learning_from_everything,
    reference_step,
    torchvision_detector,
)
from tasks.training import autocast

_LOSSES, _GRADIENTS, _DETECTIONS = 1e-3, 1e-2, 0.02
_BACKGROUND = -100.0  # logit of a class that is never found


def detector_pair(conditions: Conditions, *, head: str, frozen_stages: int, expert: bool, train: bool = True) -> Pair:
    """Training steps, or predictions, of both.

    Args:
        expert: the peer too computes in bfloat16 and channels-last; otherwise it is run as its script runs it, which is
            float32 on a CPU and, with its `--amp`, bfloat16 on a GPU.
        train: or predict.
    """
    ours = prepare(head, conditions, freeze=f"1-{frozen_stages}" if frozen_stages else "0", optimizer="sgd")
    make_sure(ours.task.model)
    sizes, device = conditions.sizes, torch.device(conditions.device)
    peer = torchvision_detector(
        head,
        conditions.backbone,
        len(CLASSES["detection"]),
        frozen_stages=frozen_stages,
        min_size=min(sizes.height, sizes.width),
        max_size=2 * max(sizes.height, sizes.width),
    )
    peer.load_state_dict(ours.task.model.state_dict())
    for model in (ours.task.model, peer):
        model.to(device)
    ours.task.model.to(memory_format=torch.channels_last)
    precision = "bf16" if expert or conditions.is_gpu else "fp32"

    def check() -> list[Agreement]:
        found = [_same_detections(ours, peer, device)]
        found += _same_losses(ours, peer, device) if train else []
        if expert:
            peer.to(memory_format=torch.channels_last)
        return found

    if not train:
        return Pair(check, _predictor(ours, device), _peer_predictor(ours, peer, device, precision))
    return Pair(check, ours.stepper(device), reference_step(peer, ours.batches, device, precision, LEARNING_RATE))


def make_sure(model: nn.Module) -> None:
    """Give class layers weights that find something, as random ones do not, and not everything."""
    with torch.no_grad():
        for name, layer in model.named_modules():
            if "classification_head.conv" in name and isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            elif name.endswith("classification_head.cls_logits"):
                nn.init.normal_(layer.weight, std=0.01)
                classes = len(CLASSES["detection"]) + 1
                # Nothing trains column 0, which torchvision takes for a class and we do not.
                layer.weight.view(-1, classes, *layer.weight.shape[1:])[:, 0] = 0
                layer.bias.view(-1, classes)[:, 0] = _BACKGROUND
            elif name.endswith("cls_score"):
                nn.init.normal_(layer.weight, std=0.1)


def _same_detections(ours: Ours, peer: nn.Module, device: torch.device) -> Agreement:
    batch = ours.batches[0]
    images, _ = for_torchvision(batch)
    with torch.inference_mode():
        found = ours.task.predict(ours.task.model.eval(), batch.to(device))
        wanted = peer.eval()([image.to(device) for image in images])
    return detections_agree(
        [(one.boxes, one.labels, one.scores) for one in found],
        [(one["boxes"], one["labels"] - 1, one["scores"]) for one in wanted],
        _DETECTIONS,
    )


def _same_losses(ours: Ours, peer: nn.Module, device: torch.device) -> list[Agreement]:
    batch = ours.batches[0]
    images, targets = for_torchvision(batch)
    model = ours.task.model
    with learning_from_everything(model, peer):
        found = ours.loss(batch)
        torch.stack(list(found.values())).sum().backward()
        wanted = peer.train()(
            [image.to(device) for image in images],
            [{key: value.to(device) for key, value in target.items()} for target in targets],
        )
        torch.stack(list(wanted.values())).sum().backward()
    names = {name: name for name, _ in model.named_parameters()}
    agreements = [*losses_agree(found, wanted, _LOSSES), gradients_agree(model, peer, names, _GRADIENTS)]
    model.zero_grad()
    peer.zero_grad()
    return agreements


def _predictor(ours: Ours, device: torch.device) -> Callable[[int], object]:
    def predict(number: int) -> Any:
        ours.task.model.eval()
        with torch.inference_mode(), autocast(device, "bf16"):
            return ours.task.predict(ours.task.model, ours.batches[number % len(ours.batches)].to(device))

    return predict


def _peer_predictor(ours: Ours, peer: nn.Module, device: torch.device, precision: str) -> Callable[[int], object]:
    ready = [for_torchvision(batch)[0] for batch in ours.batches]

    def predict(number: int) -> Any:
        peer.eval()
        with torch.inference_mode(), autocast(device, precision):
            return peer([image.to(device) for image in ready[number % len(ready)]])

    return predict
