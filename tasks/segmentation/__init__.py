"""Segmentation: U-Net, its losses and its metrics."""
