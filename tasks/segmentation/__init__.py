"""Segmentation: U-Net and other decoders on our backbones, their losses and metrics."""

from tasks.segmentation.balance import median_frequency_weights
from tasks.segmentation.checks import encoder_channels
from tasks.segmentation.losses import SegmentationLoss
from tasks.segmentation.smp_net import Decoder, SmpNet
from tasks.segmentation.task import SegmentationTask
from tasks.segmentation.transforms import SegmentationTransform
from tasks.segmentation.unet import UNet

__all__ = [
    "Decoder",
    "SegmentationLoss",
    "SegmentationTask",
    "SegmentationTransform",
    "SmpNet",
    "UNet",
    "encoder_channels",
    "median_frequency_weights",
]
