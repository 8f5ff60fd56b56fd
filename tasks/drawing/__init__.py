"""Boxes, masks and legends over images, and sheets of images; on arrays and Pillow's images."""

from tasks.drawing.annotations import class_colour, draw_boxes, draw_labels, draw_objects, draw_scores
from tasks.drawing.sheets import contact_sheet, thumbnail

__all__ = ["class_colour", "contact_sheet", "draw_boxes", "draw_labels", "draw_objects", "draw_scores", "thumbnail"]
