"""What a training step asks of a device, to the last wait: a change that adds one fails here."""

from typing import Any

import pytest

from tasks.benchmark.synchronisations import count_step
from tasks.heads import list_heads
from tests.heads import head as make_head

# With 2 and with 8 images; torch 2.15, torchvision 0.29.
DETECTORS = {"faster_rcnn": (33, 87), "fcos": (15, 21), "mask_rcnn": (43, 115), "retinanet": (22, 88)}
OFTEN = ["fcos", "retinanet"]  # eight images of the others take long


@pytest.mark.parametrize("name", [*list_heads("segmentation"), *list_heads("classification")])
def test_a_segmenter_waits_for_nothing(name: str) -> None:
    assert count_step(make_head(name), 2).kinds == {}


@pytest.mark.parametrize("options", [{}, {"deep_supervision": True}])
def test_more_images_do_not_wait_more_often_in_segmentation(options: dict[str, Any]) -> None:
    few, many = (count_step(make_head("unet", **options), images) for images in (2, 8))
    assert few.waits == many.waits == 0
    assert few.copies == 2 * 2  # the image and its mask
    assert many.copies == 8 * 2


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_waits(name: str) -> None:
    assert count_step(make_head(name), 2).waits == DETECTORS[name][0]


@pytest.mark.parametrize("name", OFTEN)
def test_a_detector_waits_with_more_images(name: str) -> None:
    assert count_step(make_head(name), 8).waits == DETECTORS[name][1]
