"""Label smoothing, mixup and CutMix against torch's and timm's own numbers."""

import numpy as np
import pytest
import torch
from timm.data import Mixup
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch.nn import functional

from backbones import create_backbone
from tasks import create_task
from tasks.classification.mixing import Mixing
from tasks.data import Batch
from tests.heads import head

LABELS = torch.tensor([0, 3, 1, 2, 3, 0])
IMAGES = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_label_smoothing_is_torchs_and_timms() -> None:
    logits = torch.randn(6, 4)
    images, targets = Mixing(0, 0, 0.1, 4)(IMAGES, LABELS, seed=0)
    assert images is IMAGES
    ours = functional.cross_entropy(logits, targets)
    torch.testing.assert_close(ours, functional.cross_entropy(logits, LABELS, label_smoothing=0.1))
    torch.testing.assert_close(ours, LabelSmoothingCrossEntropy(0.1)(logits, LABELS))


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
@pytest.mark.parametrize("seed", [0, 7, 2**63])
def test_images_are_mixed_as_timm_mixes_them(mixup: float, cutmix: float, seed: int) -> None:
    images, targets = Mixing(mixup, cutmix, 0.1, 4)(IMAGES, LABELS, seed)
    np.random.seed(seed % 2**32)
    theirs = Mixup(mixup, cutmix, label_smoothing=0.1, num_classes=4)(IMAGES.float(), LABELS)
    torch.testing.assert_close(images, theirs[0])
    torch.testing.assert_close(targets, theirs[1])
    logits = torch.randn(6, 4)
    expected = SoftTargetCrossEntropy()(logits, theirs[1])
    torch.testing.assert_close(functional.cross_entropy(logits, targets), expected)
    torch.testing.assert_close(targets.sum(1), torch.ones(6))


def test_the_last_of_an_odd_batch_stays_and_numpys_generator_too() -> None:
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    images, targets = Mixing(0.4, 0, 0, 4)(IMAGES[:5], LABELS[:5], seed=1)
    assert np.array_equal(before, np.random.get_state()[1])
    even = Mixing(0.4, 0, 0, 4)(IMAGES[:4], LABELS[:4], seed=1)
    torch.testing.assert_close(images, torch.cat([even[0], IMAGES[4:5].float()]))
    torch.testing.assert_close(targets[4], torch.tensor([0.0, 0.0, 0.0, 1.0]))
    alone = Mixing(0.4, 0, 0, 4)(IMAGES[:1], LABELS[:1], seed=1)
    assert torch.equal(alone[0], IMAGES[:1])


def test_the_loss_is_of_the_mixed_images_and_the_seed_decides() -> None:
    task = create_task("classification", create_backbone("resnet18"), "abcd", head=head("linear", mixup=0.5))
    task.model.eval()

    def loss(seeds: list[int]) -> torch.Tensor:
        targets = [{"label": label} for label in LABELS]
        batch = Batch(list(IMAGES), targets, list(range(6)), ["x"] * 6, [(16, 16)] * 6, seeds=seeds)
        return task.losses(task.model, batch)["cross_entropy"]

    assert torch.equal(loss([1, 2, 3, 4, 5, 6]), loss([1, 2, 3, 4, 5, 6]))
    assert not torch.equal(loss([1, 2, 3, 4, 5, 6]), loss([2, 1, 3, 4, 5, 6]))
    np.random.seed(1)
    mixed, targets = Mixup(0.5, 0, label_smoothing=0, num_classes=4)(IMAGES.float(), LABELS)
    torch.testing.assert_close(loss([1] * 6), SoftTargetCrossEntropy()(task.model(mixed), targets))
