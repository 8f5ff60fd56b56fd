"""What `benchmark` is asked."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from tasks.config import Group


class BenchmarkArguments(Group):
    """The work to time."""

    what: Literal["step", "index", "evaluation"] = "step"
    """A training step; reading a COCO-sized annotation file and sharing it with workers, against pycocotools and
    torchvision's CocoDetection; or the COCO metrics by hotcoco against pycocotools."""
    task: Literal["detection", "segmentation"] = "detection"
    """step: against torchvision's Faster R-CNN, or against segmentation-models-pytorch's Unet."""
    backbone: str = "resnet50"
    """step: of both models; its weights are random."""
    freeze: str = "1-3"
    """step: stages held still in both; segmentation-models-pytorch cannot and trains everything."""
    image_size: int = Field(320, ge=32)
    """step: side of the pictures in pixels."""
    batch_size: int = Field(4, ge=1)
    """step: pictures a step."""
    steps: int = Field(7, ge=1)
    """step: timed steps of each, after one that is not."""
    precision: Literal["fp32", "bf16"] = "bf16"
    """step: of both."""
    pictures: int | None = Field(None, ge=20)
    """index (118,000) and evaluation (5,000): how many; objects in proportion."""
    workers: int = Field(4, ge=1)
    """index: processes that read pictures."""
    rounds: int = Field(3, ge=1)
    """index and evaluation: how often each is timed, in turn."""
    folder: Path | None = None
    """index: where the synthetic data goes. None: a temporary folder."""
