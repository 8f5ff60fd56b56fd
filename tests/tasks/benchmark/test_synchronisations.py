"""What a training step asks of a device, to the last wait: a change that adds one fails here."""

from typing import Any

import pytest

from tasks.benchmark.synchronisations import count_step
from tasks.heads import list_heads
from tests.heads import head as make_head

# With 2 and with 8 images; torch 2.15, torchvision 0.29. On an H200 `torch.cuda.set_sync_debug_mode` counted with 2
# images: Faster R-CNN 44 and Mask R-CNN 50, RetinaNet 24, FCOS 26, U-Net with deep supervision 7, other segmenters 3.
# That was torch 2.11, where `x[indices] = 1` copies the number to the device: the first two have eight of these. FCOS's
# loss is another since.
DETECTORS = {"faster_rcnn": (36, 102), "fcos": (17, 23), "mask_rcnn": (42, 114), "retinanet": (24, 90)}
OFTEN = [name for name in DETECTORS if name != "mask_rcnn"]  # whose eight images take long


@pytest.mark.parametrize("name", list_heads("segmentation"))
def test_a_segmenter_waits_for_three_numbers(name: str) -> None:
    """Whether any pixel counts, the loss, and the norm of the gradients."""
    assert count_step(make_head(name), 2).kinds == {"item": 3}


@pytest.mark.parametrize(("options", "waits"), [({}, 3), ({"deep_supervision": True}, 7)])
def test_more_images_do_not_wait_more_often_in_segmentation(options: dict[str, Any], waits: int) -> None:
    few, many = (count_step(make_head("unet", **options), images) for images in (2, 8))
    assert few.waits == many.waits == waits
    assert few.copies == 2 * 2  # the image and its mask
    assert many.copies == 8 * 2


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_waits(name: str) -> None:
    assert count_step(make_head(name), 2).waits == DETECTORS[name][0]


@pytest.mark.parametrize("name", OFTEN)
def test_a_detector_waits_with_more_images(name: str) -> None:
    assert count_step(make_head(name), 8).waits == DETECTORS[name][1]
