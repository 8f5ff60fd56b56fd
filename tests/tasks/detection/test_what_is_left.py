"""What an augmentation leaves of an object decides its box, its mask, and whether it is still one."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from backbones import InputError
from tasks.data import IGNORE
from tasks.data.dataset.sample import Image
from tasks.detection.transforms import DetectionTransform
from tasks.segmentation.transforms import SegmentationTransform


def _disk(side: int = 96, radius: int = 30) -> tuple[Image, NDArray[np.float64], NDArray[np.uint8]]:
    """A white disk on black with its box and its mask."""
    rows, columns = np.ogrid[:side, :side]
    mask = ((rows - side / 2) ** 2 + (columns - side / 2) ** 2 <= radius**2).astype(np.uint8)
    box = [float(side / 2 - radius), float(side / 2 - radius), side / 2 + radius + 1, side / 2 + radius + 1]
    return np.repeat(mask[..., None] * 255, 3, axis=2).astype(np.uint8), np.array([box]), mask[None]


AUGMENTED = {
    "holes": "- CoarseDropout: {num_holes_range: [6, 6], hole_height_range: [9, 30], hole_width_range: [9, 30], p: 1}",
    "grid": "- GridDropout: {ratio: 0.6, unit_size_range: [20, 40], random_offset: true, p: 1}",
    "stripes": "- XYMasking: {num_masks_x: 3, num_masks_y: 3, mask_x_length: [5, 20], mask_y_length: [5, 20], p: 1}",
    "turned": "- Rotate: {limit: [30, 60], p: 1}",
    "cut": "- RandomCrop: {height: 40, width: 40, p: 1}",
    "turned and cut": "- Rotate: {limit: 45, p: 1}\n- RandomCrop: {height: 40, width: 50, p: 1}",
    "bent": "- ElasticTransform: {alpha: 60, sigma: 6, p: 1}",
}


@pytest.mark.parametrize("name", AUGMENTED)
def test_what_an_augmentation_leaves_of_an_object_decides_its_box_and_its_mask(name: str, tmp_path: Path) -> None:
    """The mask is what is seen of the white disk, the box encloses the mask, and what is not seen is no object."""
    own = tmp_path / "own.yaml"
    own.write_text(AUGMENTED[name] + "\n")
    transform = DetectionTransform(96, str(own), masks=True)
    seen, changed = [], 0
    for seed in range(40):
        image, box, mask = _disk()
        moved = transform.apply(image, box, seed, mask)
        assert moved.masks is not None
        assert len(moved.boxes) == len(moved.masks) == len(moved.kept)
        white = moved.image[..., 0] > 127
        seen.append(len(moved.boxes))
        if not len(moved.boxes):
            assert white.mean() < 0.06  # a tenth of the disk's box
            continue
        assert (white ^ (moved.masks[0] > 0)).mean() < 0.03
        rows, columns = np.nonzero(moved.masks[0])
        extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(moved.boxes[0] - extent).max() <= 1.5
        changed += np.abs(moved.boxes[0] - box[0]).max() > 2
    assert any(seen)
    assert changed or name in ("turned", "bent", "grid")  # which leave a disk its box


def test_an_object_that_is_hidden_is_none(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "- CoarseDropout: {num_holes_range: [1, 1], hole_height_range: [96, 96], hole_width_range: [96, 96], p: 1}"
    )
    image, box, mask = _disk()
    with_masks = DetectionTransform(96, str(own), masks=True).apply(image, box, 0, mask)
    assert len(with_masks.boxes) == len(with_masks.kept) == len(with_masks.masks) == 0  # type: ignore[arg-type]
    assert len(DetectionTransform(96, str(own)).apply(image, box, 0).boxes) == 0


def test_boxes_that_are_no_extent_move_as_boxes() -> None:
    """Wide of the object, or between pixels: a mirrored one is the mirror image, to the fraction of a pixel."""
    image, _, mask = _disk()
    wide, between = np.array([[5.0, 6, 90, 91]]), np.array([[18.25, 18.5, 78.75, 78.5]])
    transform = DetectionTransform(96, "light", masks=True)
    flipped = 0
    for seed in range(8):
        for box in (wide, between):
            moved = transform.apply(image, box, seed, mask).boxes[0]
            mirrored = np.array([96 - box[0, 2], box[0, 1], 96 - box[0, 0], box[0, 3]])
            assert min(np.abs(moved - box[0]).max(), np.abs(moved - mirrored).max()) < 1e-3
            flipped += np.abs(moved - mirrored).max() < 1e-3
    assert flipped


def test_boxes_between_pixels_are_so_in_an_enlarged_image_too() -> None:
    image, _, mask = _disk()
    box = np.array([[17.5, 17.5, 79.25, 79.5]])  # the disk's extent is 18 to 79
    for seed in range(6):
        moved = DetectionTransform(480, "light", masks=True).apply(image, box, seed, mask).boxes[0] / 5
        mirrored = np.array([96 - box[0, 2], box[0, 1], 96 - box[0, 0], box[0, 3]])
        assert min(np.abs(moved - box[0]).max(), np.abs(moved - mirrored).max()) < 1e-3


def test_masks_are_not_interpolated(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("- Affine: {mask_interpolation: 1}\n")
    with pytest.raises(InputError, match="Affine: mask_interpolation 1 mixes labels"):
        DetectionTransform(64, str(own))


@pytest.mark.parametrize("name", ["holes", "grid", "stripes"])
def test_holes_ignore_nothing_in_a_mask_of_classes(name: str, tmp_path: Path) -> None:
    """As in albumentations the label stays where the image is hidden, unless fill_mask says otherwise."""
    own = tmp_path / "own.yaml"
    image, _, mask = _disk()
    for text, ignored in (
        (AUGMENTED[name], False),
        (AUGMENTED[name].replace("p: 1", f"p: 1, fill_mask: {IGNORE}"), True),
    ):
        own.write_text(text + "\n")
        transform = SegmentationTransform(96, train=True, augment=str(own))
        moved, labels = transform.crop(image, mask[0], 3)
        assert not np.array_equal(moved, image)
        assert (labels == IGNORE).any() == ignored
        assert np.array_equal(labels, mask[0]) != ignored


def test_what_no_image_fills_is_ignored_in_a_mask_of_classes(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("- Rotate: {limit: [45, 45], p: 1}\n")
    white = np.full((96, 96, 3), 255, np.uint8)
    moved, labels = SegmentationTransform(96, train=True, augment=str(own)).crop(white, np.ones((96, 96), np.uint8), 0)
    assert set(np.unique(labels)) == {1, IGNORE}
    assert (moved[labels == IGNORE] < 255).mean() > 0.9
