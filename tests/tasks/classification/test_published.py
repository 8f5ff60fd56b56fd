"""A real ImageNet network with its classifier, on 200 real photographs, against its known figures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.assembly import describe, task_from_settings
from tasks.classification import IMAGENET_CLASSES
from tasks.commands import main
from tasks.runs import lay_under
from tasks.training import save_checkpoint


def write_published(folder: Path, weights: Path, *, stride_in_1x1: bool) -> None:
    """A checkpoint of a published network as a classifier of ImageNet's classes."""
    asked = {
        "task": "classification",
        "data": {"path": "unused"},
        "backbone": {"name": "resnet50", "weights": str(weights), "stride_in_1x1": stride_in_1x1},
    }
    layers = lay_under(asked)
    settings = layers.settle(layers.values | asked, set())
    task, line = task_from_settings(settings, IMAGENET_CLASSES)
    assert "classifier of 1000 classes is taken" in line
    save_checkpoint(folder, task.model, describe(settings, task.backbone, task.classes))


def link_class_folders(images: Path, folder: Path, name_of: Callable[[int, str], str]) -> None:
    """Photographs called index_wnid_name.jpg, each in a folder of its class."""
    for image in sorted(images.glob("*.jpg")):
        index, wordnet_id = image.name.split("_")[:2]
        place = folder / name_of(int(index), wordnet_id)
        place.mkdir(parents=True, exist_ok=True)
        (place / image.name).symlink_to(image)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stride_in_1x1", "top1", "top5", "by_id"),
    [(True, 0.895, 0.995, False), (True, 0.895, 0.995, True), (False, 0.770, 0.975, False)],
)
def test_real_weights_have_their_published_figures(
    stride_in_1x1: bool, top1: float, top5: float, by_id: bool, tmp_path: Path, shared: Callable[[str], Path]
) -> None:
    weights = shared("weights/resnet50_keras_imagenet_stride1x1_fp16.safetensors")
    write_published(tmp_path / "published", weights, stride_in_1x1=stride_in_1x1)
    link_class_folders(
        shared("imagenet_sample200"),
        tmp_path / "data",
        lambda index, wordnet_id: wordnet_id if by_id else IMAGENET_CLASSES[index],
    )
    results = tmp_path / "results.json"
    arguments = [str(tmp_path / "published"), "--data", str(tmp_path / "data")]
    assert main(["evaluate", *arguments, "--results", str(results)]) == 0
    found = json.loads(results.read_text())
    assert len(found["images"]) == 200
    right = sum(one["class"] == one["found"] for one in found["images"])
    assert right / 200 == top1
    assert sum(map(sum, found["confusion"])) == 200
