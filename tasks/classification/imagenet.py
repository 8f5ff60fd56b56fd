"""The 1,000 classes that published classifiers know."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from timm.data import ImageNetInfo
from torchvision.models import ResNet50_Weights

from tasks.data import DataSet

IMAGENET_CLASSES: tuple[str, ...] = tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"])
"""torchvision's names, in the order of the published classifiers' logits."""

_WORDNET_ID = re.compile(r"(?<![0-9A-Za-z])n\d{8}(?![0-9A-Za-z])")


def are_imagenet(classes: Sequence[str]) -> bool:
    """Whether these are the 1,000, in their order, under torchvision's names or as ImageNet's folders are called."""
    return _named(classes) == IMAGENET_CLASSES


def as_imagenet(data: DataSet[Any], classes: tuple[str, ...]) -> DataSet[Any]:
    """The data set with its classes under torchvision's names, where a model knows these 1,000 and the data's are
    called by WordNet's ids, as ImageNet's folders are: n01440764, or 0000_n01440764_tench."""
    return replace(data, classes=_named(data.classes)) if classes == IMAGENET_CLASSES else data


def _named(classes: Sequence[str]) -> tuple[str, ...]:
    found = [_WORDNET_ID.search(name) for name in classes]
    return tuple(_names().get(match[0], name) if match else name for match, name in zip(found, classes, strict=True))


@cache
def _names() -> dict[str, str]:
    return dict(zip(ImageNetInfo().label_names(), IMAGENET_CLASSES, strict=True))
