"""The pyramid against torchvision's own, and inside torchvision's Faster R-CNN."""

import torch
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn
from torchvision.ops import FrozenBatchNorm2d

from backbones import FeatureInfo, FeaturePyramid, create_backbone


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
    """Strict load of torchvision's Faster R-CNN, and its detections on the same pictures."""
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
