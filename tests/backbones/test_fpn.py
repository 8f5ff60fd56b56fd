"""The pyramid against torchvision's own, and inside torchvision's Faster R-CNN."""

import pytest
import torch
from torchvision.models.detection import (
    FCOS,
    FasterRCNN,
    MaskRCNN,
    RetinaNet,
    fasterrcnn_resnet50_fpn,
    retinanet_resnet50_fpn,
)
from torchvision.ops import FrozenBatchNorm2d

from backbones import FeatureInfo, FeaturePyramid, InputError, create_backbone, list_backbones
from tests.backbones.peers import deep_ones_slow

FOR_DETECTION = [name for name in list_backbones() if not name.startswith("cifar")]
FAST = ["resnet18"]


def test_levels_and_shapes_at_odd_sizes() -> None:
    pyramid = FeaturePyramid(create_backbone("resnet18"), out_channels=32)
    assert pyramid.features == tuple(FeatureInfo(f"p{n}", 32, 2**n) for n in range(2, 7))
    levels = pyramid(torch.randn(2, 3, 97, 131))
    assert {name: tuple(level.shape) for name, level in levels.items()} == {
        "p2": (2, 32, 25, 33),
        "p3": (2, 32, 13, 17),
        "p4": (2, 32, 7, 9),
        "p5": (2, 32, 4, 5),
        "p6": (2, 32, 2, 3),
    }


def test_equals_torchvisions_detector_key_for_key() -> None:
    """Strict load of torchvision's Faster R-CNN, and its detections on the same images."""
    reference = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=5)
    for module in reference.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.running_var.uniform_(0.5, 1.5)
            module.weight.uniform_(0.4, 0.6)
    backbone = create_backbone("resnet50", norm="frozen")
    detector = FasterRCNN(FeaturePyramid(backbone).as_torchvision(), num_classes=5)
    detector.load_state_dict(reference.state_dict(), strict=True)
    images = [torch.rand(3, 200, 260), torch.rand(3, 240, 180)]
    for model in (reference, detector):
        model.eval()
        model.transform.min_size, model.transform.max_size = (200,), 300
        model.roi_heads.score_thresh = 0.0
    with torch.inference_mode():
        for expected, found in zip(reference(images), detector(images), strict=True):
            assert len(expected["boxes"]) == 100
            for key in ("boxes", "scores", "labels"):
                torch.testing.assert_close(found[key], expected[key], rtol=1e-4, atol=1e-4)


def test_levels_for_retinanet() -> None:
    """p3..p7 with torchvision's own keys, in torchvision's RetinaNet and FCOS."""
    reference = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    backbone = create_backbone("resnet50", norm="frozen")
    pyramid = FeaturePyramid(backbone, levels=("p3", "p7"), extra="conv")
    assert [(info.name, info.stride) for info in pyramid.features] == [(f"p{n}", 2**n) for n in range(3, 8)]
    RetinaNet(pyramid.as_torchvision(), num_classes=3).load_state_dict(reference.state_dict(), strict=True)
    target = {"boxes": torch.tensor([[5.0, 5, 60, 60]]), "labels": torch.tensor([1])}
    for kind in (RetinaNet, FCOS):
        detector = kind(pyramid.as_torchvision(), num_classes=3, min_size=96, max_size=128).train()
        losses = detector([torch.rand(3, 96, 128)], [target])
        assert torch.isfinite(torch.stack(list(losses.values()))).all()


@pytest.mark.parametrize("name", deep_ones_slow(FOR_DETECTION))
def test_odd_sizes_through_every_backbone(name: str) -> None:
    pyramid = FeaturePyramid(create_backbone(name).eval(), 16)
    with torch.inference_mode():
        levels = pyramid(torch.randn(1, 3, 97, 131))
    sizes = {level: tuple(tensor.shape[2:]) for level, tensor in levels.items()}
    assert sizes == {"p2": (25, 33), "p3": (13, 17), "p4": (7, 9), "p5": (4, 5), "p6": (2, 3)}


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FOR_DETECTION]
)
@pytest.mark.parametrize("kind", [FasterRCNN, MaskRCNN, RetinaNet, FCOS])
def test_trains_a_step_in_torchvisions_detectors(kind: type[torch.nn.Module], name: str) -> None:
    backbone = create_backbone(name)
    backbone.pretrained = True
    backbone.freeze(2)
    roi_heads = kind in (FasterRCNN, MaskRCNN)
    pyramid = FeaturePyramid(backbone, 64) if roi_heads else FeaturePyramid(backbone, 64, ("p3", "p7"), "conv")
    detector = kind(pyramid.as_torchvision(), num_classes=3, min_size=96, max_size=128).train()
    boxes, labels = torch.tensor([[5.0, 5, 60, 60]]), torch.tensor([1])
    images = [torch.rand(3, 96, 128), torch.rand(3, 90, 120)]
    masks = [torch.ones(1, *image.shape[1:], dtype=torch.uint8) for image in images]
    losses = detector(images, [{"boxes": boxes, "labels": labels, "masks": mask} for mask in masks])
    loss = torch.stack(list(losses.values())).sum()
    loss.backward()
    assert loss.isfinite()
    assert all((parameter.grad is None) != parameter.requires_grad for parameter in backbone.parameters())


def test_levels_without_extra() -> None:
    pyramid = FeaturePyramid(create_backbone("resnet18"), 16, levels=("p3", "p5"))
    assert [tuple(level.shape[1:]) for level in pyramid(torch.randn(1, 3, 64, 64)).values()] == [
        (16, 8, 8),
        (16, 4, 4),
        (16, 2, 2),
    ]


@pytest.mark.parametrize(
    ("levels", "extra", "message"),
    [
        (("p2", "p7"), "pool", "makes 1 level beyond p5, not 2"),
        (("p2", "p6"), "conv", "makes 2 levels beyond p5, not 1"),
        (("p0", "p5"), "pool", "the backbone has c1, c2, c3, c4, c5"),
        (("p6", "p7"), "conv", "the backbone has"),
        (("fine", "p5"), "pool", "level 'fine' is not understood"),
        (("p2", "p6"), "max", "extra 'max' is not known"),
    ],
)
def test_levels_that_cannot_be_made_are_refused(levels: tuple[str, str], extra: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FeaturePyramid(create_backbone("resnet18"), levels=levels, extra=extra)  # type: ignore[arg-type]


def test_a_dilated_backbone_makes_no_pyramid() -> None:
    with pytest.raises(InputError, match="dilated"):
        FeaturePyramid(create_backbone("resnet18", output_stride=16))


def test_coarse_levels_of_small_images_have_gradients_in_bfloat16() -> None:
    """p6 of a 64 px image is a pixel: torch's own convolution leaves what it finds in memory."""
    torch.manual_seed(0)
    pyramid = FeaturePyramid(create_backbone("resnet18"), 32, levels=("p3", "p7"), extra="conv")
    images = torch.randn(4, 3, 64, 64)
    gradients = []
    for enabled in (False, True, True, True):
        pyramid.zero_grad()
        for _ in range(8):  # memory that is taken again holds these
            torch.full((4 * 32 * 9 * 8,), 3e38)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            levels = pyramid(images)
        torch.stack([level.float().sum() for level in levels.values()]).sum().backward()
        gradients.append(pyramid.fpn.extra_blocks.p7.weight.grad.clone())  # type: ignore[union-attr]
    for gradient in gradients[1:]:
        assert (gradient - gradients[0]).abs().max() < 0.05 * gradients[0].abs().max()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_coarse_levels_have_the_dtype_of_the_rest(dtype: torch.dtype) -> None:
    pyramid = FeaturePyramid(create_backbone("resnet18"), 32, levels=("p3", "p7"), extra="conv").to(dtype)
    assert {level.dtype for level in pyramid(torch.randn(1, 3, 64, 64, dtype=dtype)).values()} == {dtype}
    with torch.device("meta"):
        pyramid = FeaturePyramid(create_backbone("resnet18"), 32, levels=("p3", "p7"), extra="conv")
        assert pyramid(torch.zeros(1, 3, 64, 64))["p7"].shape == (1, 32, 1, 1)
