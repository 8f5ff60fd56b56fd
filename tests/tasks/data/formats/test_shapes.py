"""The built-in images: boxes are their masks', and a seed decides everything."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.formats.shapes import CLASSES, ShapesImage, shape_samples, shapes_data
from tasks.data.masks.polygons import object_mask


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), index=st.integers(0, 10**6), width=st.integers(32, 200), height=st.integers(32, 200))
def test_boxes_are_tight_around_the_masks(seed: int, index: int, width: int, height: int) -> None:
    shapes = ShapesImage(seed, index, width, height)
    image, mask, labels = shapes.render_objects()
    sample = shape_samples([shapes])[0]
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert sample.labels.tolist() == labels
    assert len(labels) == mask.max() >= 1
    for number, (box, area) in enumerate(zip(sample.boxes, sample.areas, strict=True), start=1):
        own = mask == number
        assert area == own.sum() > 0
        assert np.array_equal(object_mask(sample.segmentations[number - 1], sample.size, ""), own)
        x_min, y_min, x_max, y_max = box.astype(int)
        assert own[y_min:y_max, x_min:x_max].sum() == area
        for edge in (own[y_min, :], own[y_max - 1, :], own[:, x_min], own[:, x_max - 1]):
            assert edge.any()


def test_circles_fill_the_share_of_their_box_that_geometry_says() -> None:
    data = shapes_data(200, 128)
    shares = {name: [] for name in CLASSES}  # type: ignore[var-annotated]
    for sample in data.splits["train"]:
        for box, label, area in zip(sample.boxes, sample.labels, sample.areas, strict=True):
            width, height = box[2:] - box[:2]
            shares[CLASSES[label]].append(area / (width * height))
    assert abs(np.mean(shares["circle"]) - np.pi / 4) < 0.02
    assert np.mean(shares["triangle"]) < np.mean(shares["square"]) < np.mean(shares["circle"])


def test_the_same_seed_draws_the_same_images() -> None:
    one, two, other = shapes_data(5, 64, seed=3), shapes_data(5, 64, seed=3), shapes_data(5, 64, seed=4)
    for a, b in zip(one.splits["train"], two.splits["train"], strict=True):
        assert np.array_equal(a.read(), b.read())
        assert np.array_equal(a.boxes, b.boxes)
    assert not np.array_equal(one.splits["train"][0].read(), other.splits["train"][0].read())
    assert [len(one.splits[split]) for split in ("train", "val")] == [5, 16]
    assert not {s.name for s in one.splits["train"]} & {s.name for s in one.splits["val"]}
