"""`--weights`: backbones, torchvision's detectors by name and by file, and runs."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import detection as published
from torchvision.models import get_model_weights, resnet50
from torchvision.ops import FrozenBatchNorm2d

from backbones import InputError
from tasks.assembly import task_from_checkpoint, task_from_settings
from tasks.commands.train import main
from tasks.config import Settings, settings_for
from tasks.heads import published_detectors
from tasks.training import find_optimizer, find_schedule
from tests.heads import run_settings

PUBLISHED = published_detectors()
OPTIONS: dict[str, dict[str, Any]] = {
    name: {"score_thresh": 0.01, "detections_per_img": 100} if "rcnn" not in name else {} for name in PUBLISHED
}
# What torchvision's layers were called when the first weights were published.
OLD_NAMES = (
    (r"(fpn\.(?:inner|layer)_blocks\.\d+)\.0\.", r"\1."),
    (r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
    (r"mask_head\.(\d+)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}."),
    (r"(head\.\w+_head\.conv\.)(\d+)\.0\.", lambda found: f"{found[1]}{2 * int(found[2])}."),
)


def _as_published(name: str) -> dict[str, Tensor]:
    """Random weights as torchvision's file of this name has them: old keys, norms without counters."""
    model = getattr(published, name)(weights=None, weights_backbone=None)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, FrozenBatchNorm2d)):
            # Small enough for an eps to be seen, except where a ResNet of random weights would overflow.
            nn.init.uniform_(module.running_var, 1.0, 3.0)  # type: ignore[arg-type]
    if hasattr(model, "roi_heads"):  # so that something scores above 1 in 91
        nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=3.0)
    if hasattr(model, "head"):  # nothing trains column 0, which torchvision takes for a class and we do not
        logits = model.head.classification_head.cls_logits
        with torch.no_grad():
            logits.weight.view(-1, 91, *logits.weight.shape[1:])[:, 0] = 0
            logits.bias.view(-1, 91)[:, 0] = -100
    state = model.state_dict()
    state["backbone.body.bn1.running_var"] = torch.empty(64).uniform_(1e-5, 1e-4)
    state["backbone.body.bn1.weight"] = torch.full((64,), 1e-2)
    if "v2" not in name and not name.startswith("fcos"):
        for pattern, old in OLD_NAMES if "retinanet" not in name else OLD_NAMES[:1] + OLD_NAMES[3:]:
            state = {re.sub(pattern, old, key): value for key, value in state.items()}  # type: ignore[arg-type]
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


def _settings(name: str, weights: str | Path) -> Settings:
    head = PUBLISHED[name]
    options = head.published[name].settings
    return settings_for(head, find_optimizer("sgd"), find_schedule("cosine"))(
        backbone={"name": "resnet50", "weights": str(weights), "freeze": "1-3"},  # type: ignore[arg-type]
        head={**options, "score_threshold": 0.01 if OPTIONS[name] else 0.05},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name.endswith("v2") or "mask" in name else ()) for name in PUBLISHED],
)
def test_published_detectors_start_as_torchvision_starts_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against torchvision's own loading, from its hub's cache: by the name, and by the file."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = get_model_weights(name).DEFAULT
    file = tmp_path / "hub/checkpoints" / weights.url.rsplit("/", 1)[-1]
    file.parent.mkdir(parents=True)
    torch.save(_as_published(name), file)
    reference = getattr(published, name)(weights=weights, min_size=128, max_size=192, **OPTIONS[name]).eval()
    images = [torch.randint(0, 256, (3, 128, 160), dtype=torch.uint8)]
    with torch.inference_mode():
        expected = reference([image / 255 for image in images])[0]
    assert len(expected["boxes"]) > 10
    classes = weights.meta["categories"][1:]
    for given in (name, file):
        task, line = task_from_settings(_settings(name, given), classes)
        assert (f"torchvision's {name} (COCO_V1)" if given == name else f"the detector in {file}") in line
        assert task.backbone.frozen_stages == 3
        assert not any(parameter.requires_grad for parameter in task.backbone.layer2.parameters())  # type: ignore[attr-defined]
        with torch.inference_mode():
            found = task.model.eval()(images)[0]
        rows = [torch.cat([one["boxes"], 100 * one["scores"][:, None]], 1) for one in (expected, found)]
        distance = torch.cdist(rows[0], rows[1], p=torch.inf, compute_mode="donot_use_mm_for_euclid_dist")
        assert distance.amin(0).max() < 0.02
        assert distance.amin(1).max() < 0.02


def test_with_other_classes_only_their_layers_start_anew(tmp_path: Path) -> None:
    file = tmp_path / "detector.pth"
    state = _as_published("fasterrcnn_resnet50_fpn_v2")
    torch.save(state, file)
    task, line = task_from_settings(_settings("fasterrcnn_resnet50_fpn_v2", file), ["cat", "dog"])
    assert "other classes: 4 start anew (roi_heads.box_predictor" in line
    own = task.model.state_dict()
    for key, value in state.items():
        assert "box_predictor" in key or torch.equal(own[key], value), key


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    argv = "--data.count 8 --epochs 1 --head.channels 16 --head.representation 16"
    assert main([*argv.split(), "--output", str(folder)]) == 0
    return folder


SMALL = {"channels": 16, "representation": 16, "anchor_scale": 2.8, "rois_per_image": 64}


def test_a_run_goes_on_from_another(run: Path) -> None:
    trained = task_from_checkpoint(run / "best")[0].model.state_dict()
    backbone = {"name": "resnet18", "weights": str(run)}
    settings = run_settings(backbone=backbone, head=SMALL)
    task, line = task_from_settings(settings, ["circle", "square", "triangle"])
    assert f"the model in {run / 'best'}" in line
    assert all(torch.equal(value, trained[key]) for key, value in task.model.state_dict().items())
    # As many classes, but others
    task, line = task_from_settings(settings, ["one", "two", "three"])
    assert "4 start anew" in line
    mine = task.model.state_dict()
    changed = {key for key in mine if not torch.equal(mine[key], trained[key])}
    layers = {f"roi_heads.box_predictor.{layer}.weight" for layer in ("cls_score", "bbox_pred")}
    assert layers <= changed <= layers | {key.replace("weight", "bias") for key in layers}


@pytest.mark.parametrize("norm", ["frozen", "sync", "group", "instance"])
def test_a_run_goes_on_with_another_norm(run: Path, norm: str) -> None:
    """Scale, shift and, where the norm has them, statistics are taken; the rest is left, counters too."""
    trained = task_from_checkpoint(run / "best")[0].model.state_dict()
    settings = run_settings(backbone={"name": "resnet18", "weights": str(run), "norm": norm}, head=SMALL)
    model = task_from_settings(settings, ["circle", "square", "triangle"])[0].model
    assert all(torch.equal(value, trained[key]) for key, value in model.state_dict().items())
    left = {key.rpartition(".")[2] for key in trained if key not in model.state_dict()}
    statistics = {"running_mean", "running_var", "num_batches_tracked"}
    assert left == {"frozen": {"num_batches_tracked"}, "sync": set()}.get(norm, statistics)


@pytest.mark.parametrize("task_name", ["segmentation", "detection"])
def test_a_run_with_another_head_gives_its_backbone(run: Path, task_name: str) -> None:
    backbone = {"name": "resnet18", "weights": str(run / "best/model.safetensors"), "freeze": "2"}
    if task_name == "segmentation":
        settings = run_settings("unet", backbone=backbone)
    else:
        settings = run_settings("retinanet", backbone=backbone, head={"channels": 16})
    task, line = task_from_settings(settings, ["a", "b"])
    assert f"the resnet18 of the model in {run / 'best'}: 120 tensors taken" in line
    trained = task_from_checkpoint(run / "best")[0].backbone.state_dict()
    assert all(torch.equal(value, trained[key]) for key, value in task.backbone.state_dict().items())
    assert task.backbone.frozen_stages == 2


def test_a_backbone_file_is_one_still(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "resnet50.pth"
    torch.save(resnet50().state_dict(), file)
    settings = run_settings(backbone={"name": "resnet50", "weights": str(file)})
    assert f"the backbone in {file}: 318 tensors taken" in task_from_settings(settings, ["a"])[1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--weights fasterrcnn_resnet50", "did you mean 'fasterrcnn_resnet50_fpn'"),
        ("--weights absent.pth", "there is no such weights file"),
        ("--weights maskrcnn_resnet50_fpn --backbone resnet50", "wants --head mask_rcnn --backbone resnet50"),
        ("--weights {tmp}", "neither a run's folder with best/ nor a checkpoint in one"),
        ("--weights {tmp}/detector.pth --backbone resnet18", "does not fit this model: "),
        ("--weights {tmp}/detector.pth --backbone resnet50", "the detector in {tmp}/detector.pth: does not fit"),
    ],
)
def test_what_cannot_be_taken_is_one_line(
    flags: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "detector.pth" in flags:
        torch.save(_as_published("fcos_resnet50_fpn"), tmp_path / "detector.pth")
    argv = flags.format(tmp=tmp_path).split()
    assert main([*argv, "--data.count", "4", "--output", str(tmp_path / "run")]) == 2
    output = capsys.readouterr().err
    assert message.format(tmp=tmp_path) in output
    assert output.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_run_on_another_backbone_is_refused(run: Path) -> None:
    given = {"name": "resnet18", "weights": str(run)}
    for options, message in (
        ({"stride_in_1x1": True}, "backbone.stride_in_1x1 False, here it is True"),
        ({"name": "resnet34"}, "backbone.name resnet18, here it is resnet34"),
    ):
        with pytest.raises(InputError, match=message):
            task_from_settings(run_settings(backbone=given | options, head=SMALL), ["a"])
    line = task_from_settings(run_settings(backbone=given, head=SMALL | {"anchor_scale": 4}), ["a"])[1]
    assert "(whose anchor_scale is 2.8)" in line


def test_a_run_resumes_when_what_it_began_with_is_gone(run: Path, tmp_path: Path) -> None:
    begun = shutil.copytree(run, tmp_path / "begun")
    argv = f"--weights {begun} --data.count 8 --epochs 1 --head.channels 16 --head.representation 16"
    output = ["--output", str(tmp_path / "second")]
    assert main([*argv.split(), *output]) == 0
    shutil.rmtree(begun)
    (tmp_path / "second/run.json").unlink()
    assert main(["--resume", *output]) == 0


def test_a_broken_run_is_named(run: Path, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    settings = run_settings(backbone={"name": "resnet18", "weights": str(tmp_path)}, head=SMALL)
    with pytest.raises(InputError, match=r"model\.json: not a description of a model"):
        task_from_settings(settings, ["a"])
