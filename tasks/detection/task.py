"""Detection as the trainer sees it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from backbones import Backbone, InputError, naming_small_images
from tasks.config import DataSettings, DetectorSettings
from tasks.data import Batch, Indexed, Intensity, Reading, Sample
from tasks.detection.detections import Detections, to_original
from tasks.detection.metric import CocoMetric, Evaluator
from tasks.detection.padding import padded_size
from tasks.detection.transforms import DetectionTransform


class DetectionTask:
    """A detector over named classes.

    Args:
        backbone: that the head is on.
        classes: the names, without a background.
        head: the head's settings.
        network: what the head has built.
        evaluator: who computes the COCO metrics, hotcoco or pycocotools.
    """

    name = "detection"
    best_metric = "AP"

    def __init__(
        self,
        backbone: Backbone,
        classes: Sequence[str],
        head: DetectorSettings,
        network: nn.Module,
        evaluator: Evaluator = "hotcoco",
    ) -> None:
        self.backbone = backbone
        self.classes = tuple(classes)
        self.evaluator: Evaluator = evaluator
        self.finds_masks = head.finds_masks
        self.detections_per_image = head.detections_per_image
        self.model = network
        parts = dict(network.named_modules())
        self.dense = tuple(name for name in ("backbone", "rpn.head", "head") if name in parts)

    @staticmethod
    def transform(
        settings: DataSettings,
        *,
        train: bool,
        masks: bool = False,
        others: Indexed[Sample] | None = None,
        channels: int = 3,
    ) -> DetectionTransform:
        """What makes a sample into tensors: augmented to train on, or as it is; see `tasks.task.Task`."""
        augment = settings.augment if train else "none"
        reading = Reading(channels, Intensity.of(settings.intensity))
        return DetectionTransform(settings.image_size, augment, masks=masks, others=others, reading=reading)

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        # The background is label 0 to torchvision.
        labels, unlabelled = (_from_1([target[name] for target in batch.targets]) for name in ("labels", "unlabelled"))
        own = zip(batch.targets, labels, unlabelled, batch.seeds or batch.indices, strict=True)
        targets = [target | {"labels": one, "unlabelled": none, "seed": seed} for target, one, none, seed in own]
        with naming_small_images(batch.images, batch.names):
            losses: dict[str, Tensor] = model(batch.images, targets)
        return losses

    def predict(self, model: nn.Module, batch: Batch) -> list[Detections]:
        """One an image, as if it had been alone: those that are padded to the same size go through the model together.

        Raises:
            InputError: the model found a label that is no class.
        """
        together: dict[tuple[int, int], list[int]] = {}
        for position, image in enumerate(batch.images):
            together.setdefault(padded_size([image]), []).append(position)
        found: dict[int, Detections] = {}
        for positions in together.values():
            images = [batch.images[one] for one in positions]
            with naming_small_images(images, [batch.names[one] for one in positions]):
                results = model(images)
            for position, result in zip(positions, results, strict=True):
                one = to_original(result, batch.images[position], batch.original_sizes[position])
                self._check_labels(one, batch.names[position])
                found[position] = one
        return [found[position] for position in range(len(batch.images))]

    def _check_labels(self, found: Detections, name: str) -> None:
        beyond = found.labels[(found.labels < 0) | (found.labels >= len(self.classes))]
        if len(beyond):
            raise InputError(
                f"{name}: the model found the label {beyond[0].item()}; there are {len(self.classes)} classes, from 0"
            )

    def metric(self, samples: Indexed[Sample]) -> CocoMetric:
        most = self.detections_per_image
        return CocoMetric(samples, self.classes, self.evaluator, masks=self.finds_masks, detections_per_image=most)


def _from_1(labels: Sequence[Tensor]) -> Sequence[Tensor]:
    """Labels (n,) from 0, an entry an image."""
    return (torch.cat(list(labels)) + 1).split([len(own) for own in labels])
