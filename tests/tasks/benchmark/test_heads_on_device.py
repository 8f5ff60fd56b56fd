"""Every head trains, predicts and evaluates on another device than the CPU, and comes to what it comes to there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from backbones import changed_tensors, create_backbone, frozen_digests
from tasks import create_task
from tasks.benchmark.pretend_device import pretend_device
from tasks.benchmark.synchronisations import example
from tasks.config import data_settings
from tasks.data import Loader, open_data
from tasks.heads import list_heads
from tasks.training import autocast
from tests.heads import head as make_head

CPU = torch.device("cpu")
# On a CPU these pool by a weighted sum of our own, elsewhere by torchvision's kernel: equal to float32 rounding.
POOLING = ("faster_rcnn", "mask_rcnn")


@dataclass(frozen=True)
class Outcome:
    """What came of a training step, of a prediction and of an evaluation; all of it on the CPU."""

    losses: dict[str, float]
    gradients: dict[str, Tensor]
    found: list[Tensor]
    metrics: dict[str, float]


def _outcome(name: str, device: torch.device, precision: str = "fp32") -> Outcome:
    torch.manual_seed(0)
    options = {"score_threshold": 0.0} if name in list_heads("detection") else {}  # untrained, it is sure of nothing
    head = make_head(name, **options)
    task, _ = example(head)
    settings = data_settings(head.task)(count=2, image_size=64)
    samples = open_data(settings, head.annotations).splits["train"]
    transform = task.transform(settings, train=False, masks=head.finds_masks)
    batch = next(iter(Loader(samples, transform, batch_size=2).batches()))

    task.model.to(device).to(memory_format=torch.channels_last).train()
    with autocast(device, precision):
        losses = task.losses(task.model, batch.to(device))
    torch.stack(list(losses.values())).sum().backward()
    trained = {key: parameter for key, parameter in task.model.named_parameters() if parameter.grad is not None}

    task.model.eval()
    with torch.inference_mode(), autocast(device, precision):
        predictions = task.predict(task.model, batch.to(device))
    metric = task.metric(samples)
    metric.update(batch, predictions)
    return Outcome(
        {key: loss.item() for key, loss in losses.items()},
        {key: parameter.grad.cpu() for key, parameter in trained.items()},
        list(_tensors(predictions)),
        metric.compute(),
    )


def _tensors(predictions: Any) -> Iterator[Tensor]:
    for one in predictions:
        parts = [one] if isinstance(one, Tensor) else [one.boxes, one.labels, one.scores]
        if not isinstance(one, Tensor) and one.masks is not None:
            parts.append(one.masks.dense())
        yield from (part.cpu() for part in parts)


@pytest.mark.parametrize("name", sorted(set(list_heads()) - set(POOLING)))
def test_a_head_comes_to_the_same_bit_for_bit(name: str) -> None:
    here, there = _outcome(name, CPU), _outcome(name, pretend_device())
    assert there.losses == here.losses
    assert there.metrics == here.metrics
    assert there.gradients.keys() == here.gradients.keys()
    assert all(torch.equal(there.gradients[key], here.gradients[key]) for key in here.gradients)
    assert sum(len(tensor) for tensor in here.found) > 0
    assert all(torch.equal(one, other) for one, other in zip(there.found, here.found, strict=True))


@pytest.mark.parametrize("name", ["faster_rcnn", pytest.param("mask_rcnn", marks=pytest.mark.slow)])
def test_a_head_that_pools_comes_to_the_same_but_for_rounding(name: str) -> None:
    here, there = _outcome(name, CPU), _outcome(name, pretend_device())
    assert there.losses == pytest.approx(here.losses, rel=1e-5)
    assert there.metrics == pytest.approx(here.metrics, abs=0.01)
    assert there.gradients.keys() == here.gradients.keys()
    for key, gradient in here.gradients.items():
        torch.testing.assert_close(there.gradients[key], gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()))
    assert [tensor.shape for tensor in there.found] == [tensor.shape for tensor in here.found]


@pytest.mark.parametrize("name", ["retinanet", "unet"])
def test_in_bfloat16(name: str) -> None:
    """CUDA's lists of what is cast are not the CPU's: close, not equal; and another outcome than in float32."""
    here, there, exact = _outcome(name, CPU, "bf16"), _outcome(name, pretend_device(), "bf16"), _outcome(name, CPU)
    assert there.losses == pytest.approx(here.losses, rel=1e-2)
    assert there.losses != exact.losses


def test_freezing_on_the_device() -> None:
    """Frozen and thawed after the model was moved: bit for bit the CPU's."""
    states = []
    for device in (CPU, pretend_device()):
        torch.manual_seed(0)
        backbone = create_backbone("resnet18")
        backbone.pretrained = True
        model = create_task("segmentation", backbone, ("a", "b")).model.to(device).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8).to(device)
        for stages in ("1-3", "0", "1-2"):
            backbone.freeze(stages)
            digests = frozen_digests(backbone)
            before = {key: tensor.cpu().clone() for key, tensor in backbone.state_dict().items()}
            model(images)[0].square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            assert not changed_tensors(backbone, digests)
            changed = {
                key for key, tensor in backbone.state_dict().items() if not torch.equal(tensor.cpu(), before[key])
            }
            assert changed == before.keys() - digests.keys()
        states.append({key: tensor.cpu() for key, tensor in model.state_dict().items()})
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
