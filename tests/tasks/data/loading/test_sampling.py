"""Images of rare classes come more often, as published; the rest of the loader's promises stay."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.dataset.splits import DataSet
from tasks.data.formats.shapes import masked_shapes_data, shapes_data
from tasks.data.loading.loader import Loader
from tasks.data.loading.sampling import class_weights, epoch_repeat_factors, repeat_factors, sample_positions
from tasks.detection.transforms import DetectionTransform
from tests.writers import make_samples

# Four images: the first class on all, the second on one, the third on none.
PRESENCE = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]], np.bool_)


def test_repeat_factors_are_those_of_the_lvis_paper() -> None:
    """r(c) = max(1, sqrt(t / f(c))) with f = 1 and 1/4; an image has its rarest class's."""
    np.testing.assert_allclose(repeat_factors(PRESENCE, 0.5), [np.sqrt(2), 1, 1, 1])
    np.testing.assert_allclose(repeat_factors(PRESENCE, 0.001), [1, 1, 1, 1])


def test_class_weights_are_in_proportion_to_rarity() -> None:
    """1 against 1/4 each: the rare image is 4 of 7."""
    np.testing.assert_allclose(class_weights(PRESENCE), np.array([4, 1, 1, 1]) * 4 / 7)
    np.testing.assert_allclose(class_weights(np.zeros((3, 2), np.bool_)), [1, 1, 1])


@given(factors=st.lists(st.floats(0.01, 9), min_size=1, max_size=30), seed=st.integers(0, 2**32))
def test_samples_keep_to_mean_and_sum_and_leave_out_no_image_of_at_least_1(factors: list[float], seed: int) -> None:
    expected = np.array(factors)
    total = round(expected.sum())
    if not total:
        return
    positions, repeats = sample_positions(expected, seed)
    counts = np.bincount(positions, minlength=len(factors))
    assert counts.sum() == total
    assert (counts >= np.floor(expected)).all()
    assert (counts <= np.floor(expected) + 1).all()
    assert len(set(zip(positions.tolist(), repeats.tolist(), strict=True))) == total


def test_on_average_every_image_comes_as_often_as_wanted() -> None:
    factors = np.array([1.4, 1, 2.25, 0.35])
    counts = np.mean([np.bincount(sample_positions(factors, seed)[0], minlength=4) for seed in range(2000)], axis=0)
    np.testing.assert_allclose(counts, factors, atol=0.05)


def test_what_images_show_is_counted_from_boxes_and_from_masks_alike() -> None:
    boxes, masks = shapes_data(20, 64), masked_shapes_data(20, 64)
    presence = boxes.splits["train"].class_presence(3)
    assert presence.any()
    assert not presence.all()
    np.testing.assert_array_equal(masks.splits["train"].class_presence(4)[:, 1:], presence)
    crowd = make_samples([(1, 1, 9, 9)], [(1, 1, 9, 9)], labels=(0, 1), crowd=(1,))
    assert crowd.class_presence(2).tolist() == [[True, False], [False, False]]


def _loader(data: DataSet, workers: int) -> Loader:
    factors = np.where(np.arange(10) == 3, 4.0, 1.0)
    transform = DetectionTransform(64, "strong")
    return Loader(data.splits["train"], transform, batch_size=4, workers=workers, shuffle=True, repeat_factors=factors)


def test_an_image_that_comes_again_is_augmented_anew() -> None:
    data = shapes_data(10, 64)
    alone, helped = _loader(data, 0), _loader(data, 2)
    assert (alone.images, len(alone)) == (13, 4)
    batches = list(alone.batches(1))
    indices = [index for batch in batches for index in batch.indices]
    assert sorted(indices) == sorted([*range(10), 3, 3, 3])
    images = [image for batch in batches for image in batch.images]
    threes = [image for image, index in zip(images, indices, strict=True) if index == 3]
    assert all(not torch.equal(one, other) for i, one in enumerate(threes) for other in threes[:i])
    for one, two in zip(batches, helped.batches(1), strict=True):
        assert one.indices == two.indices
        assert all(torch.equal(a, b) for a, b in zip(one.images, two.images, strict=True))
    later = list(alone.batches(1, first_batch=2))
    assert [batch.indices for batch in later] == [batch.indices for batch in batches[2:]]


@pytest.mark.parametrize("sampling", ["repeat", "weighted"])
def test_from_a_data_set(sampling: str, tmp_path: Path) -> None:
    box = (1, 1, 9, 9)
    samples = make_samples([box, box], [box], [box], [box], labels=(0, 1, 0, 0, 0))
    factors = epoch_repeat_factors(samples, 2, sampling, 0.5)  # type: ignore[arg-type]
    assert factors is not None
    assert factors.argmax() == 0
    assert epoch_repeat_factors(samples, 2, "each", 0.5) is None
