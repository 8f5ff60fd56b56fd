"""Our detectors are torchvision's where they should be, and better where torchvision's are wrong."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import (
    FasterRCNN,
    fasterrcnn_resnet50_fpn,
    fasterrcnn_resnet50_fpn_v2,
    fcos_resnet50_fpn,
    maskrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn_v2,
    retinanet_resnet50_fpn,
)
from torchvision.models.detection.image_list import ImageList

from backbones import FeaturePyramid, InputError, create_backbone
from tasks.assembly import create_task
from tasks.config import HeadSettings, RegionSettings
from tasks.data.loading.batch import Batch
from tasks.detection.matching import in_crowd
from tasks.detection.objects import Objects
from tasks.detection.padding import PaddedBatch
from tasks.detection.precision import Float32Anchors
from tasks.detection.rpn import Proposals
from tasks.detection.two_stage import faster_rcnn
from tests.heads import head

SCORE = 0.01  # low enough to find something with random weights
PUBLISHED: dict[str, Any] = {
    "faster_rcnn": (fasterrcnn_resnet50_fpn, {"box_score_thresh": SCORE}),
    "faster_rcnn v2": (fasterrcnn_resnet50_fpn_v2, {"box_score_thresh": SCORE}),
    "mask_rcnn": (maskrcnn_resnet50_fpn, {"box_score_thresh": SCORE}),
    "mask_rcnn v2": (maskrcnn_resnet50_fpn_v2, {"box_score_thresh": SCORE}),
    "retinanet": (retinanet_resnet50_fpn, {"score_thresh": SCORE, "detections_per_img": 100}),
    "fcos": (fcos_resnet50_fpn, {"score_thresh": SCORE}),
}


def _head(name: str) -> HeadSettings:
    name, _, v2 = name.partition(" ")
    return head(name, score_threshold=SCORE, **({"v2": True} if v2 else {}))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name.endswith("v2") or "mask" in name else ()) for name in PUBLISHED],
)
def test_torchvisions_published_detectors_load_strictly_and_find_the_same(name: str) -> None:
    torch.manual_seed(0)
    build, options = PUBLISHED[name]
    reference = build(weights=None, weights_backbone=None, num_classes=7, min_size=128, max_size=192, **options).eval()
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):  # so that a ResNet-50 of random weights does not overflow
            nn.init.uniform_(module.running_var, 1.0, 3.0)  # type: ignore[arg-type]
    if hasattr(reference, "head"):
        logits = reference.head.classification_head.cls_logits
        nn.init.normal_(logits.weight, std=0.1)
        with torch.no_grad():  # nothing trains column 0, which torchvision takes for a class and we do not
            logits.weight.view(-1, 7, *logits.weight.shape[1:])[:, 0] = 0
            logits.bias.view(-1, 7)[:, 0] = -100
    classes = [f"class {number}" for number in range(1, 7)]
    task = create_task("detection", create_backbone("resnet50"), classes, head=_head(name))
    task.model.load_state_dict(reference.state_dict(), strict=True)
    images = _images()
    with torch.inference_mode():
        # One by one: a detector pads the images of a batch to one size, and a task's predictions are as if alone.
        expected = [reference([image / 255])[0] for image in images]
        found = [task.model.eval()([image])[0] for image in images]
        detections = task.predict(task.model, Batch(images, [], [0, 1], ["", ""], [(128, 160), (160, 128)]))
    for theirs, mine, whole in zip(expected, found, detections, strict=True):
        assert len(mine["boxes"]) == len(theirs["boxes"]) > 10
        # Scores that are equal but for rounding may change places.
        rows = [
            torch.cat([one["boxes"], 100 * one["labels"][:, None], 100 * one["scores"][:, None]], 1)
            for one in (theirs, mine)
        ]
        distance = torch.cdist(rows[0], rows[1], p=torch.inf, compute_mode="donot_use_mm_for_euclid_dist")
        assert distance.amin(0).max() < 0.01
        assert distance.amin(1).max() < 0.01
        if "masks" in theirs:
            assert ((theirs["masks"][:, 0] > 0.5) == whole.masks.dense()).float().mean() > 0.999


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("what", ["objects", "nothing", "a crowd"])
def test_every_detector_trains_on(name: str, what: str) -> None:
    small = _head(name)
    rois = {"rois_per_image": 32} if isinstance(small, RegionSettings) else {}
    small = small.model_copy(update={"channels": 32, **rois})
    task = create_task("detection", create_backbone("resnet18"), ["a", "b"], head=small)
    task.model.train()
    objects = torch.tensor([[10.0, 20, 60, 90], [70, 30, 120, 100]]) if what == "objects" else torch.zeros(0, 4)
    crowd = torch.tensor([[-4e3, -4e3, 4e3, 4e3]]) if what == "a crowd" else torch.zeros(0, 4)
    images = _images()
    targets = [
        {
            "boxes": objects,
            "labels": torch.arange(len(objects)),
            "crowd_boxes": crowd,
            "unlabelled": torch.zeros(0, dtype=torch.long),
            "masks": torch.ones(len(objects), *image.shape[1:], dtype=torch.uint8),
        }
        for image in images
    ]
    losses = task.losses(task.model, Batch(images, targets, [0, 1], ["a", "b"], [(128, 160), (160, 128)]))
    total = torch.stack(list(losses.values())).sum()
    assert torch.isfinite(total)
    total.backward()
    if what == "a crowd":  # everything is ignored
        assert total.item() == 0
    if what == "objects":
        assert ("loss_mask" in losses) == name.startswith("mask_rcnn")
        unused = [key for key, parameter in task.model.named_parameters() if parameter.grad is None]
        assert not unused


def _pair() -> tuple[FasterRCNN, torch.nn.Module]:
    """torchvision's detector and ours with the same weights, and scores low enough to find something."""
    backbone = create_backbone("resnet18", norm="frozen")
    reference = FasterRCNN(
        FeaturePyramid(backbone).as_torchvision(),
        num_classes=4,
        image_mean=list(backbone.mean),
        image_std=list(backbone.std),
        box_score_thresh=SCORE,
        min_size=128,
        max_size=192,
    )
    ours = faster_rcnn(create_backbone("resnet18", norm="frozen"), 3, score_threshold=SCORE)
    ours.load_state_dict(reference.state_dict(), strict=True)
    return reference, ours


def _images() -> list[Tensor]:
    return [
        torch.randint(0, 256, (3, 128, 160), dtype=torch.uint8),
        torch.randint(0, 256, (3, 160, 128), dtype=torch.uint8),
    ]


def test_losses_equal_torchvisions() -> None:
    reference, ours = (model.train() for model in _pair())
    images = _images()
    targets = [
        {"boxes": torch.tensor([[10.0, 20, 60, 90], [70, 30, 120, 100]]), "labels": torch.tensor([1, 3])},
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)},
    ]
    reference.transform._skip_resize = True
    for model in (reference, ours):  # all examples, not a random sample of them
        model.rpn.fg_bg_sampler.batch_size_per_image = model.roi_heads.fg_bg_sampler.batch_size_per_image = 10**6
    expected = reference([image / 255 for image in images], targets)
    found = ours(images, [target | {"crowd_boxes": torch.zeros(0, 4)} for target in targets])
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)


def test_anchors_stay_exact_in_bfloat16() -> None:
    """torchvision's are made in the features' dtype: 8 bits, and 301 becomes 302."""
    anchors = Float32Anchors(sizes=((32,), (64,)), aspect_ratios=((0.5, 1.0, 2.0),) * 2)
    images = ImageList(torch.zeros(1, 3, 320, 480), [(320, 480)])
    levels = [torch.zeros(1, 8, 80, 120), torch.zeros(1, 8, 40, 60)]
    exact = anchors(images, levels)[0]
    assert torch.equal(anchors(images, [level.bfloat16() for level in levels])[0], exact)
    assert exact.dtype == torch.float32


def test_boxes_and_scores_are_float32_under_autocast() -> None:
    _, ours = _pair()
    ours.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = ours(_images())
    assert all(value.dtype == torch.float32 for result in found for key, value in result.items() if key != "labels")
    # bfloat16 has no numbers between 128 and 129: boxes decoded in it would all be whole there
    boxes = torch.cat([result["boxes"] for result in found]).flatten()
    inner = boxes[(boxes > 64) & (boxes < 120)]
    assert ((inner * 4) % 1 != 0).any()


def test_images_are_normalised_once_and_padded_with_the_mean() -> None:
    backbone = create_backbone("resnet18")
    pad = PaddedBatch(backbone)
    backbone.mean, backbone.std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)  # as weights that are loaded later do
    batch, _ = pad(_images(), None)
    assert batch.tensors.shape == (2, 3, 160, 160)
    assert batch.image_sizes == [(128, 160), (160, 128)]
    assert (batch.tensors[0, :, 128:] == 0).all()
    image = torch.full((3, 32, 32), 255, dtype=torch.uint8)
    batch, _ = pad([image], None)
    torch.testing.assert_close(batch.tensors[0, :, 0, 0], torch.tensor([0.6 / 0.2, 0.5 / 0.25, 0.4 / 0.3]))


def test_in_crowd_is_a_share_of_the_boxs_own_area() -> None:
    crowd = torch.tensor([[0.0, 0, 100, 100]])
    boxes = torch.tensor([[10.0, 10, 20, 20], [90, 0, 105, 10], [90, 0, 115, 10], [200, 200, 210, 210]])
    assert in_crowd(boxes, crowd[None]).tolist() == [[True, True, False, False]]


def test_crowds_are_not_background() -> None:
    """With a crowd over the whole image nothing is a negative example; without it, everything is."""
    _, ours = _pair()
    ours.train()
    none = torch.zeros(0, 4)
    target = {"boxes": none, "labels": torch.zeros(0, dtype=torch.long), "crowd_boxes": none}
    anchors = torch.tensor([[0.0, 0, 32, 32], [40, 40, 100, 100]])
    crowd = {"crowd_boxes": torch.tensor([[0.0, 0, 160, 160]])}
    labels, _ = ours.rpn.labels(anchors, Objects.of([target, target | crowd], anchors.device))
    assert labels.tolist() == [[0, 0], [-1, -1]]

    on_object = target | {"boxes": torch.tensor([[40.0, 40, 100, 100]]), "labels": torch.tensor([2])}
    proposals = Proposals(anchors.expand(2, -1, -1), torch.ones(2, 2, dtype=torch.bool))
    examples = ours.roi_heads.examples(proposals, Objects.of([on_object, on_object | crowd], anchors.device))
    assert examples.labels.tolist() == [[0, 2, 2], [-1, 2, 2]]


def test_boxes_come_back_in_the_original_images_pixels() -> None:
    task = create_task("detection", create_backbone("resnet18"), ["a"], head=head(score_threshold=0.0))
    task.model.eval()
    image = torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8)
    small = Batch([image], [{}], [0], ["a"], [(64, 96)])
    large = Batch([image], [{}], [0], ["a"], [(128, 288)])
    with torch.inference_mode():
        one, two = task.predict(task.model, small)[0], task.predict(task.model, large)[0]
    assert len(one.boxes) > 0
    torch.testing.assert_close(two.boxes, one.boxes * torch.tensor([3.0, 2.0, 3.0, 2.0]))
    assert set(one.labels.tolist()) == {0}


@pytest.mark.parametrize("name", ["faster_rcnn", "mask_rcnn", "retinanet", "fcos"])
def test_a_backbone_of_one_size_is_refused(name: str) -> None:
    backbone = create_backbone("resnet18")
    backbone.fixed_size = (224, 224)
    with pytest.raises(InputError, match="this backbone takes only images of 224 x 224 px"):
        create_task("detection", backbone, ["a"], head=head(name))


@pytest.mark.parametrize("name", ["retinanet", "fcos"])
def test_column_0_is_no_class(name: str) -> None:
    """torchvision's heads have a logit of the background, which nothing trains; at threshold 0 it would win here."""
    torch.manual_seed(0)
    options = {"channels": 32, "score_threshold": 0.0, "detections_per_image": 3000}
    task = create_task("detection", create_backbone("resnet18"), ["a", "b"], head=head(name, **options))
    classifier = task.model.head.classification_head.cls_logits  # type: ignore[union-attr]
    with torch.no_grad():
        classifier.bias.view(-1, 3)[:, 0] = 9.0  # type: ignore[union-attr, operator]
    task.model.eval()
    images = _images()
    with torch.inference_mode():
        found = task.predict(task.model, Batch(images, [], [0, 1], ["a", "b"], [(128, 160), (160, 128)]))
    for one in found:
        assert len(one.labels) > 100
        assert set(one.labels.tolist()) <= {0, 1}


def test_a_label_beyond_the_classes_goes_no_further() -> None:
    task = create_task("detection", create_backbone("resnet18"), ["a", "b"], head=head("fcos", channels=32))
    batch = Batch([_images()[0]], [], [0], ["a.jpg"], [(128, 160)])
    for label, named in ((0, -1), (3, 2)):
        result = {"boxes": torch.zeros(1, 4), "labels": torch.tensor([label]), "scores": torch.ones(1)}
        with pytest.raises(InputError, match=rf"a\.jpg: the model found the label {named}; there are 2 classes"):
            task.predict(lambda images, result=result: [result] * len(images), batch)  # type: ignore[arg-type]
