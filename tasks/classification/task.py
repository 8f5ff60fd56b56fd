"""Classification as the trainer sees it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbones import Backbone, Normalize, naming_small_images
from tasks.classification.linear import LinearClassifier
from tasks.classification.metric import ClassificationMetric
from tasks.classification.mixing import Mixing
from tasks.classification.transforms import ClassificationTransform
from tasks.config import ClassificationData, ClassifierSettings, DataSettings
from tasks.data import Batch, Indexed, Intensity, LabelledSample, Reading
from tasks.processes import mean_over_processes


class ClassificationModel(nn.Module):
    """Normalises images, once, and runs the network: (N, C, H, W) from 0 to 255 -> logits (N, classes)."""

    def __init__(self, net: LinearClassifier) -> None:
        super().__init__()
        self.net = net
        self.normalize = Normalize(net.backbone)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(self.normalize(images).contiguous(memory_format=torch.channels_last))


class ClassificationTask:
    """One of several named classes for every image.

    Args:
        backbone: that the head is on.
        classes: the names; a label is a position in them.
        head: the head's settings.
        network: what the head has built.
    """

    name = "classification"
    dense: tuple[str, ...] = ("net",)
    best_metric = "top1"

    def __init__(
        self, backbone: Backbone, classes: Sequence[str], head: ClassifierSettings, network: LinearClassifier
    ) -> None:
        self.backbone = backbone
        self.classes = tuple(classes)
        self.model: nn.Module = ClassificationModel(network)
        self._mixing = Mixing(head.mixup, head.cutmix, head.label_smoothing, len(self.classes))

    @staticmethod
    def transform(
        settings: DataSettings,
        *,
        train: bool,
        masks: bool = False,
        others: Indexed[LabelledSample] | None = None,
        channels: int = 3,
    ) -> ClassificationTransform:
        """What makes a sample into tensors: augmented to train on, or as it is; see `tasks.task.Task`."""
        assert isinstance(settings, ClassificationData)
        return ClassificationTransform(settings, train, Reading(channels, Intensity.of(settings.intensity)))

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        labels = torch.stack([target["label"] for target in batch.targets])
        seed = (batch.seeds or batch.indices)[0]
        images, targets = self._mixing(torch.stack(batch.images), labels, seed)
        with naming_small_images(batch.images, batch.names):
            logits = model(images)
        total = functional.cross_entropy(logits.float(), targets, reduction="sum")
        return {"cross_entropy": mean_over_processes(total, len(batch))}

    def predict(self, model: nn.Module, batch: Batch) -> list[Tensor]:
        """Probabilities (classes,), one an image."""
        with naming_small_images(batch.images, batch.names):
            return list(model(torch.stack(batch.images)).float().softmax(1))

    def metric(self, samples: Indexed[LabelledSample]) -> ClassificationMetric:
        return ClassificationMetric(samples, self.classes)
