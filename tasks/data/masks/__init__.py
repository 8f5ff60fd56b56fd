"""Masks: label images in, labels of the class map out; and the masks of objects."""
