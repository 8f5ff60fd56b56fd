"""Segmentation as the trainer sees it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbones import Backbone, InputError, Normalize, naming_small_images
from tasks.config import DataSettings, SegmentationData, SegmenterSettings
from tasks.data import Batch, Indexed, Intensity, MaskedSample, Reading
from tasks.segmentation.inference import mirrored, windowed
from tasks.segmentation.losses import SegmentationLoss, deep_supervision_weights
from tasks.segmentation.metric import SegmentationMetric
from tasks.segmentation.smp_net import SmpNet
from tasks.segmentation.transforms import SegmentationTransform
from tasks.segmentation.unet import UNet, downsized


class SegmentationModel(nn.Module):
    """Normalises images, once, and runs the network: uint8 (N, C, H, W) -> the network's logits, finest first."""

    def __init__(self, net: UNet | SmpNet) -> None:
        super().__init__()
        self.net = net
        self.normalize = Normalize(net.backbone)

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.net(self.normalize(images).contiguous(memory_format=torch.channels_last))


class SegmentationTask:
    """A label for every pixel, over named classes.

    Args:
        backbone: that the head is on.
        classes: the names; a label is a position in them.
        head: the head's settings.
        network: what the head has built.

    Raises:
        InputError: the weights of the classes are not as many.
    """

    name = "segmentation"
    dense: tuple[str, ...] = ("net",)
    best_metric = "mIoU"

    def __init__(
        self, backbone: Backbone, classes: Sequence[str], head: SegmenterSettings, network: UNet | SmpNet
    ) -> None:
        self.backbone = backbone
        self.classes = tuple(classes)
        self.head = head
        self.model: nn.Module = SegmentationModel(network)
        if head.class_weights and len(head.class_weights) != len(self.classes):
            raise InputError(
                f"head.class_weights: {len(head.class_weights)} weights for {len(self.classes)} classes "
                f"({', '.join(self.classes)})"
            )
        self._loss = SegmentationLoss(
            head.loss,
            head.class_weights,
            head.label_smoothing,
            focal_alpha=head.focal_alpha,
            focal_gamma=head.focal_gamma,
            tversky_beta=head.tversky_beta,
        )

    @staticmethod
    def transform(
        settings: DataSettings,
        *,
        train: bool,
        masks: bool = False,
        others: Indexed[MaskedSample] | None = None,
        channels: int = 3,
    ) -> SegmentationTransform:
        """What makes a sample into tensors: augmented to train on, or as it is; see `tasks.task.Task`."""
        assert isinstance(settings, SegmentationData)
        augment = settings.augment if train else "none"
        reading = Reading(channels, Intensity.of(settings.intensity))
        return SegmentationTransform(
            settings.image_size, train, settings.fit, augment, settings.balanced_crops, reading
        )

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        target = torch.stack([target["mask"] for target in batch.targets]).long()
        with naming_small_images(batch.images, batch.names):
            levels = model(torch.stack(batch.images))
        losses: dict[str, Tensor] = {}
        for weight, logits in zip(deep_supervision_weights(len(levels)), levels, strict=True):
            size = (int(logits.shape[2]), int(logits.shape[3]))
            terms = self._loss(logits, target if size == target.shape[1:] else downsized(target, size))
            for name, value in terms.items():
                losses[name] = losses.get(name, torch.zeros_like(value)) + weight * value
        return losses

    def predict(self, model: nn.Module, batch: Batch) -> list[Tensor]:
        """Labels (H, W) int64, one an image, in its original pixels."""
        found = []
        for image, name, size in zip(batch.images, batch.names, batch.original_sizes, strict=True):
            with naming_small_images([image], [name]):
                found.append(self._predict(model, image[None], size))
        return found

    def _predict(self, model: nn.Module, image: Tensor, original: tuple[int, int]) -> Tensor:
        def whole(images: Tensor) -> Tensor:
            return model(images)[0]

        def logits(images: Tensor) -> Tensor:
            return windowed(whole, images, self.head.window, self.head.overlap) if self.head.window else whole(images)

        found = (mirrored(logits, image) if self.head.mirror else logits(image)).float()
        if found.shape[2:] != original:
            found = functional.interpolate(found, original, mode="bilinear", align_corners=False)
        return found[0].argmax(0)

    def metric(self, samples: Indexed[MaskedSample]) -> SegmentationMetric:
        return SegmentationMetric(samples, self.classes, self.head.boundary_tolerance)
