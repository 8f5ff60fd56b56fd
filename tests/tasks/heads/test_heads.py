"""Heads by name: each is one file that describes itself."""

import re
from pathlib import Path

import pytest
import torch
from torchvision.models import detection, get_model_weights

import tasks.heads
from backbones import InputError, create_backbone
from tasks import create_task
from tasks.config import SettingsError
from tasks.heads import find_head, list_heads, published_detectors
from tests.heads import head as make_head

TASKS = ("detection", "segmentation", "classification")


def test_every_file_is_a_head_of_its_name() -> None:
    files = {path.stem for path in Path(tasks.heads.__file__).parent.glob("[!_]*.py")}
    assert files == set(list_heads())
    for task in TASKS:
        for name in list_heads(task):
            assert make_head(name).name == name
            assert find_head(name, task).task == task


def test_only_mask_rcnn_finds_masks_of_objects() -> None:
    annotations = {name: make_head(name).annotations for name in list_heads()}
    assert [name for name, kind in annotations.items() if kind == "polygons"] == ["mask_rcnn"]
    assert {annotations[name] for name in list_heads("segmentation")} == {"masks"}
    assert {annotations[name] for name in list_heads("classification")} == {"labels"}


@pytest.mark.parametrize("name", list_heads())
def test_what_a_head_says_of_its_tensors_is_so(name: str) -> None:
    """The backbone's are where it says, and the layers with a row a class are those that the classes change."""
    head = make_head(name)
    shapes = []
    with torch.device("meta"):
        for classes in (["a", "b"], ["a", "b", "c"]):
            backbone = create_backbone("resnet18", output_stride=head.output_strides[0])
            model = create_task(head.task, backbone, classes, head=head).model
            shapes.append({key: tensor.shape for key, tensor in model.state_dict().items()})
    assert shapes[0].keys() == shapes[1].keys()
    changed = {key for key in shapes[0] if shapes[0][key] != shapes[1][key]}
    assert changed == {key for key in shapes[0] if key.startswith(head.class_layers)}
    below = [key.removeprefix(head.backbone_prefix) for key in shapes[0] if key.startswith(head.backbone_prefix)]
    assert below == list(backbone.state_dict())


def test_published_detectors_are_torchvisions() -> None:
    for name, head in published_detectors().items():
        assert hasattr(detection, name)
        assert get_model_weights(name).DEFAULT.meta["categories"][1] == "person"
        head(**head.published[name].settings)


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("mask", "detection", "head.name: 'mask' is not known"),
        ("mask_rcn", "detection", "head.name: 'mask_rcn' is not known; did you mean 'mask_rcnn'"),
        (
            "unet",
            "detection",
            "head.name: 'unet' is not for detection (for it: faster_rcnn, fcos, mask_rcnn, retinanet)",
        ),
        ("unet", "detecton", "task: 'detecton' is not known; did you mean 'detection'"),
    ],
)
def test_what_is_no_head_is_named(name: str, task: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        find_head(name, task)


def test_a_task_takes_a_head_by_name() -> None:
    backbone = create_backbone("resnet18")
    model = create_task("segmentation", backbone, ["a", "b"], head="linknet").model
    assert "net.decoder.blocks.0.block.0.0.weight" in model.state_dict()
    for task, head, message in (
        ("segmentation", "fcos", "'fcos' is not for segmentation"),
        ("detecton", None, "task: 'detecton' is not known; did you mean 'detection'"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            create_task(task, backbone, ["a"], head=head)
