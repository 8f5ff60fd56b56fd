"""The share of boxes without an anchor, by hand."""

import numpy as np
import pytest

from backbones import create_backbone
from tasks.assembly import create_task
from tasks.detection.anchors import anchor_fit, anchor_sizes
from tests.heads import head as make_head
from tests.writers import make_samples

SQUARES = np.array([[32.0, 32], [64, 64]])


def test_boxes_are_compared_at_the_size_of_the_resized_image() -> None:
    """Images of 100 px at 200: boxes of 16, 32 and 5 px become 32, 64 and 10."""
    samples = make_samples([(0, 0, 16, 16), (0, 0, 32, 32)], [(0, 0, 5, 5), (50, 0, 100, 50)], crowd=[3])
    fit = anchor_fit(samples, 200, SQUARES)
    assert fit is not None
    assert (fit.boxes, fit.missed) == (3, pytest.approx(1 / 3))  # the crowd region is no object
    assert fit.bad
    assert "33.3% of 3 boxes" in str(fit)


def test_a_better_scale_is_suggested() -> None:
    samples = make_samples([(0, 0, 8, 8), (0, 0, 16, 16), (20, 20, 28, 28)])
    fit = anchor_fit(samples, 100, SQUARES)
    assert fit is not None
    assert (fit.missed, fit.best) == (1.0, 0.0)
    assert fit.factor == pytest.approx(0.25)
    assert "times 0.25 would leave 0.0%" in fit.advice


def test_nothing_to_compare() -> None:
    assert anchor_fit(make_samples([], []), 100, SQUARES) is None


@pytest.mark.parametrize(("head", "count"), [("faster_rcnn", 15), ("retinanet", 45)])
def test_the_anchors_of_a_detector(head: str, count: int) -> None:
    sizes = anchor_sizes(create_task("detection", create_backbone("resnet18"), ["a"], head=make_head(head)).model)
    assert sizes is not None
    assert sizes.shape == (count, 2)
    areas = np.sqrt(sizes.prod(axis=1))
    assert areas.min() == pytest.approx(32, rel=0.03)
    assert areas.max() == pytest.approx(512 if head == "faster_rcnn" else 812, rel=0.03)


def test_fcos_has_none() -> None:
    model = create_task("detection", create_backbone("resnet18"), ["a"], head=make_head("fcos")).model
    assert anchor_sizes(model) is None
