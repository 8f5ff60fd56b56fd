"""A predictor takes what people have, refuses the rest by name, and gives each image what it gives it alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from backbones import InputError, create_backbone
from tasks import create_task
from tasks.config import DetectionData, SegmentationData
from tasks.deploy import Predictor
from tasks.deploy.inputs import as_images
from tests.heads import head as make_head

RGB = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]


def _predictor(name: str, batch_size: int = 8) -> Predictor:
    torch.manual_seed(0)
    options: dict[str, Any] = {"channels": 32, "score_threshold": 0.0} if name != "unet" else {}
    head = make_head(name, **options)
    task = create_task(head.task, create_backbone("resnet18"), ["a", "b", "c"], head=head)
    if hasattr(task.model, "head"):  # scores that lie apart: which of equal ones are kept is rounding's choice
        torch.nn.init.normal_(task.model.head.classification_head.cls_logits.weight, std=0.3)  # type: ignore[union-attr, arg-type]
    data = SegmentationData(image_size=64) if name == "unet" else DetectionData(image_size=160)
    return Predictor(task, data, "fp32", torch.device("cpu"), {}, batch_size)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (RGB, RGB),
        (RGB[:, :, ::-1], np.ascontiguousarray(RGB[:, :, ::-1])),
        (RGB[::-1, ::2], np.ascontiguousarray(RGB[::-1, ::2])),
        (GREY, np.stack([GREY] * 3, 2)),
        (GREY[:, :, None], np.stack([GREY] * 3, 2)),
        (np.concatenate([RGB, GREY[:, :, None]], 2), RGB),
        (RGB.transpose(2, 0, 1), RGB),
        (torch.from_numpy(RGB).permute(2, 0, 1), RGB),
        ((RGB / 255).astype(np.float32), RGB),
        (torch.from_numpy(RGB).double() / 255, RGB),
        (Image.fromarray(RGB), RGB),
        (Image.fromarray(GREY), np.stack([GREY] * 3, 2)),
        (Image.fromarray(RGB).convert("RGBA"), RGB),
    ],
)
def test_what_is_taken(image: Any, expected: np.ndarray) -> None:
    for given in (image, [image], (one for one in [image])):
        ((_, found),) = as_images(given)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (RGB.astype(np.int64), "image 0: an array of int64; wanted is uint8, uint16, or floats from 0 to 1"),
        (RGB.astype(np.int64), "image 0: an array of int64; wanted is"),
        (RGB.astype(np.float32), "image 0: floats from 0 to 255; wanted are uint8, or floats from 0 to 1"),
        (np.full((9, 9, 3), np.nan), "image 0: floats from nan to nan; wanted are"),
        (np.zeros((0, 5), np.uint8), "image 0: an array of 0 x 5 has no pixels"),
        (np.zeros((0, 5, 3), np.uint8), "image 0: an array of 0 x 5 x 3 has no pixels"),
        (np.zeros((5, 6, 7), np.uint8), "image 0: an array of 5 x 6 x 7 has no axis of 1, 3 or 4 channels"),
        (np.zeros((3, 6, 4), np.uint8), "image 0: an array of 3 x 6 x 4 may be H x W x C or C x H x W"),
        (np.zeros(5, np.uint8), "image 0: an array of 5; wanted is H x W, H x W x C or C x H x W"),
        ([RGB, 7], "image 1: int is no image; wanted are a path, a PIL image, an array or a tensor"),
        (Image.fromarray(GREY.astype(np.int32)), "image 0: a PIL image of mode I; give one of 8 or 16 bits"),
        ("absent.jpg", "absent.jpg"),
    ],
)
def test_what_is_refused(image: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(as_images(image))
    assert str(caught.value).startswith(message)


def test_one_image_gives_one_result(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    predictor = _predictor("unet")
    alone = predictor(RGB)
    assert alone.shape == RGB.shape[:2]
    for one in (str(tmp_path / "a.png"), tmp_path / "a.png", Image.fromarray(RGB), torch.from_numpy(RGB)):
        assert predictor(one).equal(alone)
    assert predictor([]) == []
    several = predictor(np.stack([RGB, RGB]))
    assert len(several) == 2
    assert several[1].equal(alone)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("mask_rcnn", "fcos", "unet")]


@pytest.mark.parametrize("name", ["faster_rcnn", "retinanet", *SLOW])
def test_an_image_gets_what_it_gets_alone(name: str) -> None:
    """Whatever is beside it: shapes that would be padded to other sizes go through the model apart."""
    generator = np.random.default_rng(1)
    sizes = [(40, 60), (60, 40), (64, 64), (40, 60), (64, 96), (50, 70), (40, 60)]
    images = [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    alone = [_predictor(name, 1)(image) for image in images]
    for batch_size in (4, 12):
        for found, expected in zip(_predictor(name, batch_size)(images), alone, strict=True):
            if name == "unet":
                assert (found == expected).float().mean() > 0.999
                continue
            assert len(found.scores) == len(expected.scores) > 0
            rows = [torch.cat([one.boxes, 100 * one.scores[:, None]], 1) for one in (found, expected)]
            distance = torch.cdist(rows[0], rows[1], p=torch.inf, compute_mode="donot_use_mm_for_euclid_dist")
            assert distance.amin(0).max() < 0.01
            assert distance.amin(1).max() < 0.01
