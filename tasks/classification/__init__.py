"""Classification: a linear head on our backbones, its transform, mixing and metrics."""

from tasks.classification.imagenet import IMAGENET_CLASSES, are_imagenet, as_imagenet
from tasks.classification.linear import LinearClassifier
from tasks.classification.metric import ClassificationMetric
from tasks.classification.task import ClassificationTask
from tasks.classification.transforms import ClassificationTransform

__all__ = [
    "IMAGENET_CLASSES",
    "ClassificationMetric",
    "ClassificationTask",
    "ClassificationTransform",
    "LinearClassifier",
    "are_imagenet",
    "as_imagenet",
]
