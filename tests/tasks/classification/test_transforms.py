"""Images as a classifier takes them: as torchvision's presets, and by the seed alone."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.functional import center_crop

from backbones import InputError
from tasks.classification import ClassificationTransform
from tasks.config import ClassificationData, SettingsError
from tasks.data import LabelledSample
from tasks.data.labels.samples import StoredImage


def transform(train: bool = False, **options: Any) -> ClassificationTransform:
    return ClassificationTransform(ClassificationData(**{"augment": "none"} | options), train)


def sample(image: NDArray[np.uint8], label: int = 2) -> LabelledSample:
    return LabelledSample("a", StoredImage(image[None], 0), label)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(256, 341), (341, 256), (256, 257), (257, 256), (256, 256)])
def test_the_middle_is_torchvisions(size: tuple[int, int]) -> None:
    """A short side of 256 px is as it is, and the middle 224 px are those of torchvision's preset."""
    image = noise(*size)
    tensor, target, original = transform()(sample(image), 0)
    expected = np.asarray(center_crop(Image.fromarray(image), [224, 224]))
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), expected)
    assert target["label"].item() == 2
    assert target["label"].dtype == torch.int64
    assert original == size


@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    side=st.integers(16, 96),
    ratio=st.floats(0.3, 1.0),
    fit=st.sampled_from(["crop", "resize"]),
    train=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_image_becomes_the_square(height: int, width: int, side: int, ratio: float, fit: str, train: bool) -> None:
    more = {"crop_ratio": ratio} if fit == "crop" else {}
    tensor, _, original = transform(train, image_size=side, fit=fit, **more)(sample(noise(height, width)), 5)
    assert tensor.shape == (3, side, side)
    assert tensor.dtype == torch.uint8
    assert original == (height, width)


def test_random_parts_are_distributed_as_torchvisions() -> None:
    ours, theirs = transform(train=True, crop_scale=(0.2, 0.9)), RandomResizedCrop(224, scale=(0.2, 0.9))
    image = torch.zeros(3, 200, 300)
    part = ours._random_part()
    part.set_random_seed(0)

    def part_of(height: int, width: int) -> tuple[int, int, int, int]:
        found = part.get_params_dependent_on_data({"shape": (height, width, 3)}, {})
        left, top, right, bottom = found["crop_coords"]
        return top, left, bottom - top, right - left

    mine = np.array([part_of(200, 300) for _ in range(2000)])
    yours = np.array([theirs.get_params(image, theirs.scale, theirs.ratio) for _ in range(2000)])
    # Means of 2,000: the standard errors are about 1 px.
    assert mine.mean(0) == pytest.approx(yours.mean(0), abs=6)
    assert mine.std(0) == pytest.approx(yours.std(0), abs=5)
    assert part_of(20, 2000) == theirs.get_params(torch.zeros(3, 20, 2000), theirs.scale, theirs.ratio)


def test_the_seed_decides() -> None:
    varied = transform(train=True, augment="strong", image_size=64)
    one = sample(noise(80, 90))
    assert torch.equal(varied(one, 3)[0], varied(one, 3)[0])
    assert not torch.equal(varied(one, 3)[0], varied(one, 4)[0])


def test_shift_moves_by_up_to_four_pixels() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[16, 16] = 255
    moved = transform(train=True, augment="shift", image_size=32, fit="resize")
    places = {tuple(np.argwhere(moved(sample(image), seed)[0][0].numpy())[0]) for seed in range(300)}
    assert {row for row, _ in places} == set(range(12, 21))
    assert min(column for _, column in places) >= 11
    assert max(column for _, column in places) <= 20


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(InputError, match="makes mosaics, which are for boxes"):
        transform(train=True, augment="mosaic")
    with pytest.raises(SettingsError, match=r"data\.crop_scale: is of data\.fit crop"):
        ClassificationData(fit="resize", crop_scale=(0.5, 1))
    with pytest.raises(SettingsError, match=r"data\.crop_scale: \(0\.5, 0\.2\)"):
        ClassificationData(crop_scale=(0.5, 0.2))
