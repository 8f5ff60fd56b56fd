"""A class that nobody looked for on an image gives no loss there, in heads that have each class by itself."""

from typing import Any

import pytest
import torch
from torch import Tensor

from backbones import create_backbone
from tasks.assembly import create_task
from tasks.data.formats.shapes import shapes_data
from tasks.data.loading.batch import Batch
from tasks.detection.transforms import DetectionTransform
from tests.heads import head

CLASSES = ("a", "b", "c")


def _gradients(name: str, unlabelled: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Of the classification loss with respect to the logits' bias (anchors, background and classes), and the sum of all
    other losses."""
    torch.manual_seed(0)
    task = create_task("detection", create_backbone("resnet18"), CLASSES, head=head(name, channels=32))
    task.model.train()
    targets = [
        {
            "boxes": torch.tensor([[4.0, 10, 40, 60], [42, 8, 76, 50]]),
            "labels": torch.tensor([0, 2]),
            "crowd_boxes": torch.zeros(0, 4),
            "unlabelled": torch.tensor(labels, dtype=torch.long),
        }
        for labels in unlabelled
    ]
    images = [torch.randint(0, 256, (3, 64, 80), dtype=torch.uint8, generator=torch.manual_seed(1)) for _ in targets]
    sizes = [(64, 80)] * len(images)
    losses = task.losses(task.model, Batch(images, targets, [0, 1], ["x", "y"], sizes))
    losses["classification"].backward()
    bias = task.model.head.classification_head.cls_logits.bias
    others = sum(loss for key, loss in losses.items() if key != "classification")
    return bias.grad.view(-1, 1 + len(CLASSES)), torch.as_tensor(others)


@pytest.mark.parametrize("name", ["retinanet", "fcos"])
def test_it_gives_no_loss_there_and_the_others_what_they_gave(name: str) -> None:
    everywhere, boxes = _gradients(name, [[], []])
    nowhere, boxes_again = _gradients(name, [[1], [1]])
    first, second = (_gradients(name, unlabelled)[0] for unlabelled in ([[1], []], [[], [1]]))
    assert (everywhere[:, 1:] != 0).all()
    assert (nowhere[:, 2] == 0).all()
    torch.testing.assert_close(nowhere[:, [1, 3]], everywhere[:, [1, 3]])
    assert torch.equal(boxes, boxes_again)
    torch.testing.assert_close(first[:, 2] + second[:, 2], everywhere[:, 2])
    assert (first[:, 2].abs() < everywhere[:, 2].abs()).all()


def test_a_mosaic_knows_what_nobody_looked_for_on_any_of_its_images() -> None:
    samples: Any = shapes_data(4, 64).splits["train"]
    marked = [samples.without_labels([label], 3)[label] for label in (1, 2)]
    mosaic = DetectionTransform(64, "mosaic", others=marked)
    seen = {tuple(mosaic(samples[0], seed)[1]["unlabelled"].tolist()) for seed in range(10)}
    assert seen <= {(1,), (2,), (1, 2)}
    assert (1, 2) in seen
    assert DetectionTransform(64)(marked[0], seed=0)[1]["unlabelled"].tolist() == [1]
