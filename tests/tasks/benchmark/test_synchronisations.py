"""What a training step asks of a device, to the last wait: a change that adds one fails here."""

from typing import Any

import pytest

from tasks.benchmark.synchronisations import count_step
from tasks.heads import list_heads
from tests.heads import head as make_head

# torch 2.15, torchvision 0.29.
DETECTORS = {"faster_rcnn": 2, "fcos": 1, "mask_rcnn": 2, "retinanet": 1}
# So that eight images of them do not take long; the counts are those of the defaults.
SMALL = {"faster_rcnn": {"rois_per_image": 16, "representation": 64, "channels": 64}}
SMALL["mask_rcnn"] = SMALL["faster_rcnn"]


@pytest.mark.parametrize("name", [*list_heads("segmentation"), *list_heads("classification")])
def test_a_segmenter_waits_for_nothing(name: str) -> None:
    assert count_step(make_head(name), 2).kinds == {}


@pytest.mark.parametrize("options", [{}, {"deep_supervision": True}])
def test_more_images_do_not_wait_more_often_in_segmentation(options: dict[str, Any]) -> None:
    few, many = (count_step(make_head("unet", **options), images) for images in (2, 8))
    assert few.waits == many.waits == 0
    assert few.copies == many.copies == 1  # images and masks are bytes: they go together
    assert many.operators < 1.1 * few.operators


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_waits_and_copies_as_often_whatever_the_number_of_images(name: str) -> None:
    few, many = (count_step(make_head(name, **SMALL.get(name, {})), images) for images in (2, 8))
    assert few.waits == many.waits == DETECTORS[name]
    assert few.copies == many.copies <= 6
    assert many.operators < 1.1 * few.operators
