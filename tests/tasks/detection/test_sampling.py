"""What a two-stage detector learns from depends on the image's seed alone, and is a fair draw."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tasks.detection.sampling import SeededSampler, as_int64, random_numbers

LABELS = torch.cat([torch.ones(300), -torch.ones(200), torch.zeros(19_500)])


def _sample(sampler: SeededSampler, labels: Tensor, seed: int, boxes: Tensor | None = None) -> Tensor:
    """Of one image."""
    seeds = torch.tensor([as_int64(seed)])
    return sampler(labels[None], seeds, None if boxes is None else boxes[None])[0]


def _splitmix64(state: int) -> int:
    """As its author writes it (Vigna's splitmix64.c), of a state that has been moved on."""
    z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


@given(st.integers(1, 2**50))
def test_the_numbers_are_splitmix64s(number: int) -> None:
    """With a state of 0, which is what the seed 0 is mixed to; the lowest 63 bits without the last."""
    expected = _splitmix64(number * 0x9E3779B97F4A7C15 % 2**64)
    assert random_numbers(torch.tensor([number]), torch.tensor([0])).item() == expected & (2**63 - 2)


def test_as_many_as_torchvision_takes() -> None:
    sampler = SeededSampler(256, 0.5, stream=0)
    chosen = _sample(sampler, LABELS, 7)
    assert (chosen.sum(), chosen[:300].sum(), chosen[300:500].sum()) == (256, 128, 0)
    few = torch.tensor([1.0, 0, 0, -1])
    assert _sample(sampler, few, 0).tolist() == [True, True, True, False]
    assert _sample(sampler, torch.zeros(0), 0).tolist() == []
    assert _sample(sampler, -torch.ones(9), 0).sum() == 0
    scarce = torch.cat([torch.ones(10), torch.zeros(1000)])
    assert (_sample(sampler, scarce, 1)[:10].sum(), _sample(sampler, scarce, 1).sum()) == (10, 256)


def test_every_example_is_as_likely_as_another() -> None:
    sampler = SeededSampler(256, 0.5, stream=0)
    times = torch.stack([_sample(sampler, LABELS, seed) for seed in range(400)]).sum(0).double()
    expected = 400 * 128 / 300
    deviation = (expected * (1 - 128 / 300)) ** 0.5
    assert times[:300].mean() == expected
    assert times[:300].std() == pytest.approx(deviation, rel=0.15)
    assert times[500:].mean() == pytest.approx(400 * 128 / 19_500)
    assert times[500:].std() == pytest.approx((400 * 128 / 19_500) ** 0.5, rel=0.05)


def test_a_draw_depends_on_the_seed_the_stream_and_the_box() -> None:
    one, other = SeededSampler(256, 0.5, stream=0), SeededSampler(256, 0.5, stream=1)
    assert torch.equal(_sample(one, LABELS, 3), _sample(one, LABELS.clone(), 3))
    assert not torch.equal(_sample(one, LABELS, 3), _sample(one, LABELS, 4))
    assert not torch.equal(_sample(one, LABELS, 3), _sample(other, LABELS, 3))
    boxes = torch.rand(1000, 4, generator=torch.manual_seed(0)) * 500
    labels = torch.zeros(1000)
    order = torch.randperm(1000, generator=torch.manual_seed(1))
    chosen = _sample(one, labels, 3, boxes)
    assert torch.equal(_sample(one, labels, 3, boxes[order]), chosen[order])
    assert chosen.sum() == 256


def test_a_draw_does_not_depend_on_the_rest_of_the_batch() -> None:
    """Nor on padding, where boxes are equal to some pixels and so are their numbers."""
    sampler = SeededSampler(20, 0.25, stream=1)
    generator = torch.manual_seed(0)
    boxes = (torch.randint(4, (3, 200, 4), generator=generator) * 40.0).sort(-1)[0]
    labels, seeds = torch.randint(-1, 2, (3, 200), generator=generator), torch.tensor([3, 2**40, 3])
    together = sampler(labels, seeds, boxes)
    for one in range(3):
        assert torch.equal(_sample(sampler, labels[one], int(seeds[one]), boxes[one]), together[one])
        padded = torch.cat([boxes[one, :90], torch.zeros(500, 4), boxes[one, 90:]])
        unknown = torch.cat([labels[one, :90], -torch.ones(500, dtype=torch.long), labels[one, 90:]])
        chosen = _sample(sampler, unknown, int(seeds[one]), padded)
        assert torch.equal(torch.cat([chosen[:90], chosen[590:]]), together[one])
