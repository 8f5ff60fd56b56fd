"""A published checkpoint's own classifier, taken where the classes are its own: logits are torchvision's and timm's."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

from tasks.assembly import task_from_settings
from tasks.classification import IMAGENET_CLASSES, are_imagenet, as_imagenet
from tasks.data import DataSet
from tests.heads import run_settings

SIDE = 64


def published(make: Callable[[], nn.Module], file: Path) -> nn.Module:
    """A whole network with statistics that matter, written to a file."""
    torch.manual_seed(0)
    model = make().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    torch.save(model.state_dict(), file)
    return model


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("resnet18", torchvision.models.resnet18),
        pytest.param("resnext50_32x4d", torchvision.models.resnext50_32x4d, marks=pytest.mark.slow),
        pytest.param("seresnet50", lambda: timm.create_model("seresnet50"), marks=pytest.mark.slow),
        pytest.param("res2net50_26w_4s", lambda: timm.create_model("res2net50_26w_4s"), marks=pytest.mark.slow),
        ("resnetv2_50", lambda: timm.create_model("resnetv2_50")),
        ("timm/regnety_002", lambda: timm.create_model("regnety_002")),
        pytest.param("timm/densenet121", lambda: timm.create_model("densenet121"), marks=pytest.mark.slow),
        pytest.param("timm/dla34", lambda: timm.create_model("dla34"), marks=pytest.mark.slow),
    ],
)
def test_logits_are_theirs(name: str, make: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = published(make, tmp_path / "w.pth")
    settings = run_settings("linear", backbone={"name": name, "weights": str(tmp_path / "w.pth")})
    task, line = task_from_settings(settings, IMAGENET_CLASSES)
    assert line.endswith("; their classifier of 1000 classes is taken")
    images = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (task.backbone.mean, task.backbone.std))
    with torch.no_grad():
        ours, theirs = task.model.eval()(images), model((images / 255 - mean) / std)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize(
    "name",
    [  # a norm, an activation without tensors, a convolution between; the class token
        "convnext_atto",
        pytest.param("nf_resnet26", marks=pytest.mark.slow),
        "mobilenetv3_small_050",
        pytest.param("vit_tiny_patch16_224", marks=pytest.mark.slow),
    ],
)
def test_a_classifier_on_something_else_is_not_taken(name: str, tmp_path: Path) -> None:
    published(lambda: timm.create_model(name), tmp_path / "w.pth")
    settings = run_settings("linear", backbone={"name": f"timm/{name}", "weights": str(tmp_path / "w.pth")})
    line = task_from_settings(settings, IMAGENET_CLASSES)[1]
    assert line.endswith("the classifier starts anew: there is none on the mean of the coarsest level")


def test_other_classes_start_anew(tmp_path: Path) -> None:
    model = published(torchvision.models.resnet18, tmp_path / "w.pth")
    settings = run_settings("linear", backbone={"name": "resnet18", "weights": str(tmp_path / "w.pth")})
    for classes in (("a", "b"), tuple(str(number) for number in range(1000))):
        task, line = task_from_settings(settings, classes)
        assert line.endswith("the classifier starts anew: theirs is of 1000 other classes")
        assert not torch.equal(task.model.state_dict()["net.fc.weight"], model.state_dict()["fc.weight"])
    three = published(lambda: torchvision.models.resnet18(num_classes=3), tmp_path / "w.pth")
    task, line = task_from_settings(settings, ("a", "b", "c"))
    assert line.endswith("their classifier is taken, for a, b, c in this order, which the file does not say")
    assert torch.equal(task.model.state_dict()["net.fc.bias"], three.state_dict()["fc.bias"])


def test_imagenets_classes_go_by_torchvisions_names_and_by_wordnets_ids() -> None:
    assert len(set(IMAGENET_CLASSES)) == 1000
    assert IMAGENET_CLASSES[0] == "tench"
    assert are_imagenet(IMAGENET_CLASSES)
    assert are_imagenet(timm.data.ImageNetInfo().label_names())
    assert not are_imagenet(IMAGENET_CLASSES[::-1])
    data = DataSet("x", ("n01440764", "0001_n01443537_goldfish", "hammerhead", "xn01443537"), {})
    assert as_imagenet(data, IMAGENET_CLASSES).classes == ("tench", "goldfish", "hammerhead", "xn01443537")
    assert as_imagenet(data, ("a", "b")) is data
