"""Resizing and augmentation that tasks build their transforms from."""
