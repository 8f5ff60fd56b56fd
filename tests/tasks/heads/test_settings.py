"""What torchvision and segmentation-models-pytorch let a user set reaches its place, under their names and defaults."""

import inspect
from functools import partial
from typing import Any

import pytest
import torch
from segmentation_models_pytorch import FPN, DeepLabV3, DeepLabV3Plus, PSPNet
from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import sigmoid_focal_loss

from backbones import FeaturePyramid, create_backbone
from tasks import create_task
from tasks.config import SettingsError
from tests.heads import head as make_head

PEERS: dict[str, Any] = {"faster_rcnn": FasterRCNN, "mask_rcnn": FasterRCNN, "retinanet": RetinaNet, "fcos": FCOS}
OURS = {"name", "channels", "representation", "v2", "anchor_scale", "rois_per_image", "aspect_ratios"}
OURS |= {"score_threshold", "detections_per_image", "focal_alpha", "focal_gamma"}
DROPOUT = {
    "fpn": (FPN, "decoder_dropout"),
    "pspnet": (PSPNet, "psp_dropout"),
    "deeplabv3": (DeepLabV3, "decoder_aspp_dropout"),
    "deeplabv3plus": (DeepLabV3Plus, "decoder_aspp_dropout"),
}


def _shared(name: str) -> list[str]:
    return [key for key in type(make_head(name)).model_fields if key not in OURS]


def _numbers(detector: nn.Module) -> dict[str, Any]:
    """Everything in a detector and its parts that such a setting may end in."""
    parts = {part: getattr(detector, part) for part in ("rpn", "roi_heads") if hasattr(detector, part)}
    found: dict[str, Any] = {}
    for name, part in (parts | {"": detector}).items():
        for key, value in vars(part).items():
            if isinstance(value, (int, float)) or "top_n" in key:
                found[f"{name}.{key}"] = value
            elif "matcher" in key:
                found[f"{name}.{key}"] = (value.high_threshold, value.low_threshold)
    return found


@pytest.mark.parametrize("name", PEERS)
def test_defaults_are_torchvisions(name: str) -> None:
    parameters = inspect.signature(PEERS[name].__init__).parameters
    assert _shared(name)
    for key in _shared(name):
        assert getattr(make_head(name), key) == parameters[key].default, key


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in PEERS for key in _shared(name)])
def test_a_setting_ends_where_torchvisions_does(name: str, key: str) -> None:
    """torchvision's detector with the same argument changes the same numbers of its parts to the same values."""

    default = getattr(make_head(name), key)
    value = default + 7 if isinstance(default, int) else round(default * (1.1 if "fg" in key else 0.9), 3)
    levels: dict[str, Any] = {} if "rcnn" in name else {"levels": ("p3", "p7"), "extra": "conv"}

    def theirs(**options: Any) -> nn.Module:
        pyramid = FeaturePyramid(create_backbone("resnet18"), 32, **levels)
        return PEERS[name](pyramid.as_torchvision(), num_classes=3, **options)

    def ours(**options: Any) -> nn.Module:
        head = make_head(name, channels=32, **options)
        return create_task("detection", create_backbone("resnet18"), ["a", "b"], head=head).model

    changed = []
    for build in (theirs, ours):
        before, after = _numbers(build()), _numbers(build(**{key: value}))
        changed.append({number: after[number] for number in after if after[number] != before[number]})
    assert changed[0]
    assert changed[0] == changed[1]


@pytest.mark.parametrize("options", [{}, {"focal_alpha": 0.6, "focal_gamma": 1.5}])
@pytest.mark.parametrize("name", ["retinanet", "fcos"])
def test_focal_loss_is_torchvisions(name: str, options: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """On images of three and of no objects; torchvision's own heads, which fix alpha and gamma, are given others."""
    torch.manual_seed(0)
    ours = create_task("detection", create_backbone("resnet18"), ["a", "b"], head=make_head(name, **options)).model
    anchors = [torch.rand(40, 4) * 30 + torch.tensor([0.0, 0.0, 40.0, 40.0]) for _ in range(2)]
    matches = [torch.randint(-1, 3, (40,)), torch.full((40,), -1)]
    targets = [
        {"boxes": torch.tensor([[2.0, 3, 60, 50], [9, 9, 44, 70], [1, 30, 90, 64]]), "labels": torch.tensor([1, 2, 1])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)},
    ]
    if name == "fcos":  # a cell lies within the box that it learns
        found = matches[0] >= 0
        boxes = targets[0]["boxes"][matches[0][found]]
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2 + torch.rand(len(boxes), 2)
        anchors[0][found] = torch.cat([middle - 4, middle + 4], 1)
    outputs = {"cls_logits": torch.randn(2, 40, 3), "bbox_regression": torch.rand(2, 40, 4)}
    if name == "fcos":
        outputs["bbox_ctrness"] = torch.randn(2, 40, 1)
    focal = partial(sigmoid_focal_loss, alpha=options.get("focal_alpha", 0.25), gamma=options.get("focal_gamma", 2.0))
    monkeypatch.setattr(f"torchvision.models.detection.{name}.sigmoid_focal_loss", focal)
    peer = {"retinanet": RetinaNetHead, "fcos": FCOSHead}[name](256, 1, 3)
    wanted = peer.compute_loss(targets, outputs, anchors, matches)
    none = {"crowd_boxes": torch.zeros(0, 4), "unlabelled": torch.zeros(0, dtype=torch.long)}
    crowds = [target | none for target in targets]
    found_losses = ours.head.compute_loss(crowds, outputs, anchors, matches)
    torch.testing.assert_close(found_losses, wanted)


@pytest.mark.parametrize("name", DROPOUT)
def test_dropout_is_the_decoders(name: str) -> None:
    peer, argument = DROPOUT[name]
    assert make_head(name).dropout == inspect.signature(peer.__init__).parameters[argument].default  # type: ignore[attr-defined]
    head = make_head(name, dropout=0.37)
    backbone = create_backbone("resnet18", output_stride=head.output_strides[0])
    model = create_task("segmentation", backbone, ["a", "b"], head=head).model
    assert {module.p for module in model.modules() if isinstance(module, nn.Dropout | nn.Dropout2d)} == {0.37}


@pytest.mark.parametrize("name", ["faster_rcnn", "mask_rcnn", "retinanet"])
def test_aspect_ratios_are_those_of_the_anchors(name: str) -> None:
    model = create_task(
        "detection", create_backbone("resnet18"), ["a"], head=make_head(name, aspect_ratios=(0.25, 4.0))
    ).model
    generator = model.rpn.anchor_generator if hasattr(model, "rpn") else model.anchor_generator
    for cell in generator.cell_anchors:
        sides = cell[:, 2:] - cell[:, :2]
        ratios = (sides[:, 1] / sides[:, 0]).log2().round().unique()
        assert ratios.tolist() == [-2, 2]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "faster_rcnn",
            {"rpn_bg_iou_thresh": 0.8},
            r"rpn_bg_iou_thresh: 0\.8: is above head\.rpn_fg_iou_thresh, 0\.7",
        ),
        (
            "mask_rcnn",
            {"box_fg_iou_thresh": 0.4},
            r"box_bg_iou_thresh: 0\.5: is above head\.box_fg_iou_thresh, 0\.4",
        ),
        ("retinanet", {"bg_iou_thresh": 0.6}, r"head\.bg_iou_thresh: 0\.6: is above head\.fg_iou_thresh, 0\.5"),
    ],
)
def test_background_ends_below_objects(name: str, options: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make_head(name, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"loss": "bce + dice", "class_weights": (1.0, 2.0)},
            r"head\.class_weights: is of cross_entropy, which head\.loss",
        ),
        (
            {"loss": "focal", "balance_classes": True},
            r"head\.balance_classes: is of cross_entropy, which head\.loss, 'focal'",
        ),
        ({"loss": "dice", "label_smoothing": 0.1}, r"head\.label_smoothing: is of cross_entropy"),
        ({"class_weights": (1.0, 2.0), "balance_classes": True}, r"leave out head\.class_weights"),
        ({"focal_gamma": 3.0}, r"head\.focal_gamma: is of focal, which head\.loss, 'cross_entropy \+ dice', has not"),
        ({"focal_alpha": 0.25}, r"head\.focal_alpha: is of focal"),
        ({"tversky_beta": 0.5}, r"head\.tversky_beta: is of tversky"),
        ({"overlap": 0.25}, r"head\.overlap: is of head\.window, which is not set"),
    ],
)
def test_what_a_loss_has_no_use_for_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make_head("unet", **options)
    used = {"loss": "0.5 * cross_entropy + focal + tversky", "balance_classes": False, "window": 64}
    make_head("unet", **{**options, **used})
