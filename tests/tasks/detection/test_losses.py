"""The losses of a batch are torchvision's where the samples are, and what its images have alone."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator

from backbones import FeaturePyramid, create_backbone
from tasks.detection import fcos, fcos_detector, mask_rcnn, retinanet, retinanet_detector, roi_heads, rpn
from tasks.detection.sampling import SeededSampler
from tasks.detection.two_stage import faster_rcnn

HEADS = {"faster_rcnn": faster_rcnn, "mask_rcnn": mask_rcnn, "retinanet": retinanet, "fcos": fcos}
SLOW = pytest.mark.slow
NAMES = ["faster_rcnn", pytest.param("mask_rcnn", marks=SLOW), "retinanet", "fcos"]
SEEDS = (5, 2**40)
NONE = torch.zeros(0, 4)


class Replayed:
    """Stands where torchvision samples; takes what ours would of these images."""

    def __init__(self, sampler: SeededSampler, heads: Any = None) -> None:
        self.sampler, self.boxes = sampler, None
        if heads is not None:
            assign = heads.assign_targets_to_proposals

            def recorded(proposals: list[Tensor], *others: Any) -> Any:
                self.boxes = proposals
                return assign(proposals, *others)

            heads.assign_targets_to_proposals = recorded

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        boxes = self.boxes or [None] * len(labels)
        chosen = [
            self.sampler(own[None], torch.tensor([seed]), None if at is None else at[None])[0]
            for own, seed, at in zip(labels, SEEDS, boxes, strict=True)
        ]
        pairs = list(zip(labels, chosen, strict=True))
        return [(own >= 1) & taken for own, taken in pairs], [(own == 0) & taken for own, taken in pairs]


def _images(sizes: list[tuple[int, int]]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes]


def _targets(sizes: list[tuple[int, int]], empty: bool = True) -> list[dict[str, Any]]:
    boxes = [torch.tensor([[4.0, 8, 40, 60], [30, 10, 62, 50], [3, 3, 14, 12]]), torch.tensor([[10.0, 10, 50, 44]])]
    boxes = [boxes[0], NONE if empty else boxes[1]]
    targets = []
    for own, size, seed in zip(boxes, sizes, SEEDS, strict=True):
        masks = torch.zeros(len(own), *size, dtype=torch.uint8)
        for mask, (left, top, right, bottom) in zip(masks, own.int().tolist(), strict=True):
            mask[top:bottom, left : (left + right) // 2] = 1
        labels = torch.tensor([1, 3, 2])[: len(own)]
        targets.append({"boxes": own, "labels": labels, "crowd_boxes": NONE, "masks": masks, "seed": seed})
    return targets


def _reference(name: str, ours: Any) -> Any:
    """torchvision's model, with our weights and samples."""
    backbone = create_backbone("resnet18", norm="frozen")
    options: Any = {"image_mean": list(backbone.mean), "image_std": list(backbone.std)}
    if name in ("faster_rcnn", "mask_rcnn"):
        build = FasterRCNN if name == "faster_rcnn" else MaskRCNN
        reference = build(FeaturePyramid(backbone).as_torchvision(), 4, **options)
        reference.rpn.fg_bg_sampler = Replayed(ours.rpn.fg_bg_sampler)
        reference.roi_heads.fg_bg_sampler = Replayed(ours.roi_heads.fg_bg_sampler, reference.roi_heads)
    else:
        build = RetinaNet if name == "retinanet" else FCOS
        pyramid = FeaturePyramid(backbone, levels=("p3", "p7"), extra="conv")
        if name == "fcos":
            options["anchor_generator"] = AnchorGenerator(((8,), (16,), (32,), (64,), (128,)), ((1.0,),) * 5)
        reference = build(pyramid.as_torchvision(), 4, **options)
    reference.load_state_dict(ours.state_dict(), strict=True)
    reference.transform._skip_resize = True
    return reference.train()


def _ours(name: str) -> Any:
    torch.manual_seed(0)
    return HEADS[name](create_backbone("resnet18", norm="frozen"), 3).train()


@pytest.mark.parametrize("name", NAMES)
def test_torchvisions_losses_for_our_samples(name: str) -> None:
    ours = _ours(name)
    sizes = [(64, 96), (96, 64)]
    expected = _reference(name, ours)([image / 255 for image in _images(sizes)], _targets(sizes))
    found = ours(_images(sizes), _targets(sizes))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert value > 0
        torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_sums_what_its_images_have_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rpn, roi_heads, retinanet_detector, fcos_detector):
        monkeypatch.setattr(module, "mean_over_processes", lambda total, count: (total.item(), float(count)))
    ours = _ours(name)
    sizes = [(64, 64), (64, 64)]
    images, targets = _images(sizes), _targets(sizes, empty=False)
    together = ours(images, targets)
    alone = [ours([image], [target]) for image, target in zip(images, targets, strict=True)]
    swapped = ours(images[::-1], targets[::-1])
    for key, (total, count) in together.items():
        assert count == sum(one[key][1] for one in alone) == swapped[key][1]
        assert total == pytest.approx(sum(one[key][0] for one in alone), rel=1e-4)
        assert total == pytest.approx(swapped[key][0], rel=1e-4)
