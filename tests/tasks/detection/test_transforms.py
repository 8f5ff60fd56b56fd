"""Boxes stay on their objects, sizes are right, and the seed decides."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backbones import InputError
from tasks.data.dataset.objects import Objects, build_table
from tasks.data.dataset.sample import Image
from tasks.data.findings import Place
from tasks.data.formats.shapes import shapes_data
from tasks.data.loading.seeds import sample_seed
from tasks.data.transforms.augmentation import list_augmentations, load_augmentation
from tasks.detection.transforms import DetectionTransform


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
    image = DetectionTransform(320).apply(np.zeros((height, width, 3), np.uint8), np.zeros((0, 4)), 0).image
    assert image.shape[:2] == expected


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_rectangles_are_found_at_their_boxes(data: st.DataObject, seed: int) -> None:
    height, width = data.draw(st.integers(60, 200)), data.draw(st.integers(60, 200))
    x0, y0 = data.draw(st.integers(0, width - 30)), data.draw(st.integers(0, height - 30))
    x1, y1 = data.draw(st.integers(x0 + 25, width)), data.draw(st.integers(y0 + 25, height))
    source: Image = np.zeros((height, width, 3), np.uint8)
    source[y0:y1, x0:x1] = 255
    box = np.array([[x0, y0, x1, y1]], np.float64)
    transformed = DetectionTransform(128, "light").apply(source, box, seed)
    image, boxes = transformed.image, transformed.boxes
    assert transformed.kept.tolist() == [0]
    rows, columns = np.nonzero(image[:, :, 0] > 127)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert np.abs(boxes[0] - found).max() <= 1
    assert (boxes >= 0).all()
    assert boxes[0, 2] <= image.shape[1] + 1e-6
    assert boxes[0, 3] <= image.shape[0] + 1e-6


def test_the_seed_alone_decides() -> None:
    source = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    transform, other = DetectionTransform(64, "light"), DetectionTransform(64, "light")
    images = [transform.apply(source, np.zeros((0, 4)), seed).image for seed in range(40)]
    again = [other.apply(source, np.zeros((0, 4)), seed).image for seed in reversed(range(40))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(images, again, strict=True))
    flipped = sum(np.array_equal(image, source[:, ::-1]) for image in images)
    assert 10 < flipped < 30
    assert flipped + sum(np.array_equal(image, source) for image in images) == 40


def test_without_augmentation_nothing_is_changed() -> None:
    source = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for seed in range(20):
        assert np.array_equal(DetectionTransform(64).apply(source, np.zeros((0, 4)), seed).image, source)


def test_seeds_of_samples_differ() -> None:
    seeds = {sample_seed(seed, epoch, index) for seed in range(10) for epoch in range(10) for index in range(10)}
    assert len(seeds) == 1000


FOR_BOXES = ["none", "light", "flips", "strong", "jitter"]


@pytest.mark.parametrize("name", FOR_BOXES)
@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_whatever_an_augmentation_does_boxes_labels_and_masks_stay_on_their_objects(
    name: str, data: st.DataObject, seed: int
) -> None:
    """Up to four rectangles in bright colours of their own on black, found again where they are said to be."""
    side = data.draw(st.integers(96, 160))
    source: Image = np.zeros((side, side + 20, 3), np.uint8)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)][: data.draw(st.integers(1, 4))]
    boxes, masks = [], []
    for number in range(len(colours)):
        left, top = (8 + 50 * (number % 2), 8 + 46 * (number // 2))
        right, bottom = left + data.draw(st.integers(20, 36)), top + data.draw(st.integers(20, 32))
        source[top:bottom, left:right] = colours[number]
        boxes.append([left, top, right, bottom])
        masks.append((source == colours[number]).all(axis=2).astype(np.uint8))
    transform = DetectionTransform(128, name, masks=True)
    transformed = transform.apply(source, np.array(boxes, np.float64), seed, np.stack(masks))
    height, width = transformed.image.shape[:2]
    assert transformed.masks is not None
    assert len(transformed.boxes) == len(transformed.masks) == len(transformed.kept)
    assert transformed.masks.shape[1:] == (height, width)
    assert (transformed.boxes >= -1e-6).all()
    assert (transformed.boxes[:, [0, 2]] <= width + 1e-6).all()
    assert (transformed.boxes[:, [1, 3]] <= height + 1e-6).all()
    for box, mask, number in zip(transformed.boxes, transformed.masks, transformed.kept, strict=True):
        rows, columns = np.nonzero(mask)
        if min(box[2] - box[0], box[3] - box[1]) < 4 or not len(rows):
            continue  # scaled down to a few pixels
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(box - found).max() <= 1.5
        seen = np.median(transformed.image[mask > 0], axis=0)
        assert np.abs(seen - colours[number]).max() < 110, "the label went to another object"


def test_mosaics_are_made_of_four_images_and_keep_their_objects() -> None:
    samples = shapes_data(12, 64).splits["train"]
    transform = DetectionTransform(64, "mosaic", others=samples)
    more = 0
    for seed in range(20):
        image, target, _ = transform(samples[seed % 12], seed)
        assert image.shape == (3, 64, 64)
        assert len(target["boxes"]) == len(target["labels"])
        assert (target["boxes"] >= 0).all()
        assert (target["boxes"] <= 64).all()
        again = DetectionTransform(64, "mosaic", others=samples)(samples[seed % 12], seed)
        assert torch.equal(again[0], image)
        assert torch.equal(again[1]["boxes"], target["boxes"])
        more += len(target["boxes"]) > len(samples[seed % 12].boxes)
    assert more > 3


def test_mosaics_keep_labels_with_their_objects() -> None:
    """Images of one class in one colour each: every box in a mosaic is filled with its class's colour."""
    colours = [(250, 10, 10), (10, 250, 10), (10, 10, 250)]

    class Plain:
        def __init__(self, label: int) -> None:
            self.label = label

        def render(self) -> Image:
            source: Image = np.zeros((64, 64, 3), np.uint8)
            source[16:48, 16:48] = colours[self.label]
            return source

    objects = Objects()
    for number in range(9):
        objects.add(number, (16, 16, 48, 48), number % 3)
    images = [Plain(number % 3) for number in range(9)]
    names = [str(number) for number in range(9)]
    samples = build_table(names, images, [(64, 64)] * 9, objects, lambda number: Place(str(number)))
    transform = DetectionTransform(64, "mosaic", others=samples)
    seen: set[int] = set()
    for seed in range(30):
        image, target, _ = transform(samples[seed % 9], seed)
        for (x0, y0, x1, y1), label in zip(
            target["boxes"].round().int().tolist(), target["labels"].tolist(), strict=True
        ):
            if x1 - x0 > 4 and y1 - y0 > 4:
                inside = image[:, (y0 + y1) // 2, (x0 + x1) // 2].tolist()
                assert np.abs(np.subtract(inside, colours[label])).max() < 30
                seen.add(len(target["labels"]))
    assert max(seen) > 1


def test_mosaics_have_no_masks() -> None:
    with pytest.raises(InputError, match="'mosaic' makes mosaics, which have no masks"):
        DetectionTransform(64, "mosaic", masks=True, others=shapes_data(2, 64).splits["train"])


def test_augmentations_are_read_strictly(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("- HorizontalFlip: {p: 1.0}\n")
    source = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    flipped = DetectionTransform(64, str(own)).apply(source, np.zeros((0, 4)), 0).image
    assert np.array_equal(flipped, source[:, ::-1])
    for text, message in [
        ("- HorizontalFlip: {chance: 1.0}\n", r"own\.yaml: HorizontalFlip: .*chance"),
        ("- GaussNoise: {var_limit: [1, 2]}\n", r"own\.yaml: GaussNoise: .*var_limit"),  # of older albumentations
        ("- HorizontalFlop: {p: 1.0}\n", r"own\.yaml: albumentations has no transform 'HorizontalFlop'; did you mean"),
        ("HorizontalFlip: {p: 1.0}\n", r"own\.yaml: wanted is a list"),
        ("- HorizontalFlip\n", r"own\.yaml: 'HorizontalFlip' is no"),
        ("- [\n", r"own\.yaml: not readable YAML"),
    ]:
        own.write_text(text)
        with pytest.raises(InputError, match=message):
            DetectionTransform(64, str(own))
    with pytest.raises(InputError, match=r"data\.augment: 'lite' is neither an augmentation; did you mean 'light'"):
        DetectionTransform(64, "lite")


def test_every_augmentation_is_built_strictly() -> None:
    for name in list_augmentations():
        assert isinstance(load_augmentation(name, 64), list)
