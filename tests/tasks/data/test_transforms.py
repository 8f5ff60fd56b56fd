"""Boxes stay on their objects, sizes are right, and the seed decides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.samples import Image
from tasks.data.transforms import DetectionTransform, sample_seed


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (480, 640, (320, 427)),
        (640, 480, (427, 320)),
        (100, 300, (160, 480)),
        (300, 100, (480, 160)),
        (64, 64, (320, 320)),
    ],
)
def test_the_short_side_rules_until_the_long_one_is_full(height: int, width: int, expected: tuple[int, int]) -> None:
    image, _, _ = DetectionTransform(320).apply(np.zeros((height, width, 3), np.uint8), np.zeros((0, 4)), 0)
    assert image.shape[:2] == expected


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_drawn_rectangles_are_found_at_their_boxes(data: st.DataObject, seed: int) -> None:
    height, width = data.draw(st.integers(60, 200)), data.draw(st.integers(60, 200))
    x0, y0 = data.draw(st.integers(0, width - 30)), data.draw(st.integers(0, height - 30))
    x1, y1 = data.draw(st.integers(x0 + 25, width)), data.draw(st.integers(y0 + 25, height))
    picture: Image = np.zeros((height, width, 3), np.uint8)
    picture[y0:y1, x0:x1] = 255
    box = np.array([[x0, y0, x1, y1]], np.float64)
    image, boxes, kept = DetectionTransform(128, "light").apply(picture, box, seed)
    assert kept.tolist() == [0]
    rows, columns = np.nonzero(image[:, :, 0] > 127)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert np.abs(boxes[0] - found).max() <= 1
    assert (boxes >= 0).all()
    assert boxes[0, 2] <= image.shape[1] + 1e-6
    assert boxes[0, 3] <= image.shape[0] + 1e-6


def test_the_seed_alone_decides() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    transform, other = DetectionTransform(64, "light"), DetectionTransform(64, "light")
    images = [transform.apply(picture, np.zeros((0, 4)), seed)[0] for seed in range(40)]
    again = [other.apply(picture, np.zeros((0, 4)), seed)[0] for seed in reversed(range(40))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(images, again, strict=True))
    flipped = sum(np.array_equal(image, picture[:, ::-1]) for image in images)
    assert 10 < flipped < 30
    assert flipped + sum(np.array_equal(image, picture) for image in images) == 40


def test_without_augmentation_nothing_is_drawn() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for seed in range(20):
        assert np.array_equal(DetectionTransform(64).apply(picture, np.zeros((0, 4)), seed)[0], picture)


def test_seeds_of_samples_differ() -> None:
    seeds = {sample_seed(seed, epoch, index) for seed in range(10) for epoch in range(10) for index in range(10)}
    assert len(seeds) == 1000
