"""Boxes, masks and legends lie where they should, in the colours of their classes."""

import numpy as np
from PIL import Image

from tasks.drawing import class_colour, contact_sheet, draw_boxes, draw_labels, draw_objects, thumbnail

BLACK = np.zeros((60, 80, 3), np.uint8)


def test_boxes_are_lines_along_their_sides() -> None:
    image = np.asarray(draw_boxes(Image.fromarray(BLACK), [((10, 20, 50, 40), "", (255, 0, 0))]))
    rows, columns = np.nonzero(image[..., 0])
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (10, 20, 50, 40)
    assert (image[30, 20:40] == 0).all()
    assert not BLACK.any()


def test_objects_have_their_classes_colours_and_the_best_is_on_top() -> None:
    mask = np.zeros((2, 60, 80), np.bool_)
    mask[0, 30:40, 20:30] = True
    boxes = np.array([[15.0, 25, 35, 45], [15, 25, 35, 45]])
    labels, scores = np.array([2, 0]), np.array([0.9, 0.4])
    image = np.asarray(draw_objects(BLACK, boxes, labels, scores, ("a", "b", "c"), mask)).astype(int)
    assert tuple(image[45, 25]) == class_colour(2)
    inside = image[35, 25] / np.array(class_colour(2))
    assert np.abs(inside - 0.45).max() < 0.01


def test_labels_are_blended_and_named_in_a_legend() -> None:
    labels = np.zeros((60, 80), np.uint8)
    labels[40:, 40:] = 1
    labels[50, 70] = 255
    image = np.asarray(draw_labels(BLACK, labels, ("ground", "cell"))).astype(int)
    for row, column, label in ((30, 75, 0), (55, 60, 1)):
        assert np.abs(image[row, column] - 0.45 * np.array(class_colour(label))).max() <= 1
    assert (image[50, 70] == image[50, 70, 0]).all()
    assert tuple(image[0, 0]) == class_colour(0)


def test_a_sheet_has_a_row_for_each() -> None:
    images = [[Image.new("RGB", (512, 256), "red")] * 2, [Image.new("L", (8, 8))]]
    sheet = contact_sheet(images, side=64)
    assert sheet.size == (2 * 68 + 4, 2 * 68 + 4)
    assert sheet.getpixel((4, 4)) == (255, 0, 0)
    assert thumbnail(images[0][0], 64).size == (64, 32)
