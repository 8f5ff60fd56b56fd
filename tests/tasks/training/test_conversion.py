"""Checkpoints from before they had a format: what that commit found with them is found again."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file

from backbones import InputError
from tasks import load_predictor
from tasks.assembly import task_from_checkpoint, task_from_settings
from tasks.commands import main
from tasks.commands.train import parse_settings
from tasks.config import Annotations
from tasks.data import Loader, open_data
from tasks.heads import find_head, list_heads
from tasks.training import evaluate, read_description, read_state
from tasks.training.checkpoint import STATE_FORMAT
from tasks.training.conversion import FORMAT, convert_description
from tests.heads import data_for, run_settings
from tests.tasks.training.format_0 import write

OLD = {name: json.loads(Path(write.__file__).with_name(f"{name}.json").read_text()) for name in write.HEADS}


@pytest.fixture(params=OLD)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A run's folder as it was written, and the JSON that it is made from."""
    content = OLD[request.param]
    for name in ("best", "last"):
        folder = tmp_path / "run" / name
        folder.mkdir(parents=True)
        (folder / "model.json").write_text(json.dumps(content["model.json"]))
        save_file(write.tensors(content["shapes"], write.SEED), folder / "model.safetensors")
    torch.save(content["training.pt"], tmp_path / "run/last/training.pt")
    (tmp_path / "run/config.yaml").write_text(content["config.yaml"])
    return tmp_path / "run", content


def test_predicts_what_it_predicted(old: tuple[Path, dict[str, Any]]) -> None:
    run, content = old
    found, expected = load_predictor(run)([write.image()])[0], content["predicted"]
    if "pixels" in expected:
        counts = torch.bincount(found.flatten(), minlength=len(expected["pixels"]))
        assert (counts - torch.tensor(expected["pixels"])).abs().max() <= 2
        return
    torch.testing.assert_close(found.boxes[:10], torch.tensor(expected["boxes"]), atol=0.01, rtol=0)
    torch.testing.assert_close(found.scores[:10], torch.tensor(expected["scores"]), atol=1e-4, rtol=0)
    assert found.labels[:10].tolist() == expected["labels"]


def test_evaluates_to_the_same_figures(old: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    run, content = old
    assert main(["evaluate", str(run), "--workers", "0"]) == 0
    assert "val (16)" in capsys.readouterr().out
    task, _ = task_from_checkpoint(run / "best")
    annotations: Annotations = "boxes" if task.name == "detection" else "masks"
    settings = data_for(annotations, count=8, image_size=64)
    samples = open_data(settings, annotations).splits["val"]
    loader = Loader(samples, task.transform(settings, train=False), batch_size=4)
    metrics = evaluate(task, task.model, loader, torch.device("cpu"), "fp32", Console(quiet=True)).compute()
    assert metrics == pytest.approx(content["metrics"], abs=1e-4)


def test_gives_its_weights_to_another_run(old: tuple[Path, dict[str, Any]]) -> None:
    run, content = old
    description = read_description(run / "best")
    head = description["head"]["name"]
    settings = run_settings(head, backbone={"name": "resnet18", "weights": str(run)}, head=description["head"])
    _, line = task_from_settings(settings, description["classes"])
    assert f"{len(content['shapes'])} tensors taken" in line
    other = "retinanet" if head == "unet" else "unet"
    _, line = task_from_settings(run_settings(other, backbone=settings.backbone.model_dump()), ["a"])
    assert "the resnet18 of the model in" in line


def test_is_not_resumed(old: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    run, _ = old
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["train", "--resume", "--output", str(run)]) == 2
    error = capsys.readouterr().err
    assert "has format 0, this version resumes from format 2 alone: finish the run with the version that" in error
    assert f"or start another with --weights {run / 'last'}" in error
    assert error.count("\n") == 1
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_newer_format_is_refused(old: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    run, content = old
    for name in ("best", "last"):
        (run / name / "model.json").write_text(json.dumps(content["model.json"] | {"format": FORMAT + 1}))
    torch.save(content["training.pt"] | {"format": STATE_FORMAT + 1}, run / "last/training.pt")
    message = f"model.json: has format {FORMAT + 1}, this version of vertebra reads up to {FORMAT}: install a newer one"
    assert main(["evaluate", str(run)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    message = f"has format {STATE_FORMAT + 1}, this version of vertebra reads up to {STATE_FORMAT}"
    with pytest.raises(InputError, match=message):
        read_state(run / "last")


@pytest.mark.parametrize("name", [name for task in OLD for name in list_heads(task)])
def test_every_heads_description_is_converted(name: str) -> None:
    """Those held the settings of all heads; an anchor scale of None was the head's own."""
    head = next(find_head(name, task) for task in OLD if name in list_heads(task))
    flat = OLD[head.task]["model.json"]["head"] | {"name": name, "anchor_scale": None}
    converted = convert_description({"head": flat}, Path("model.json"))["head"]
    assert {"name"} < set(converted) <= set(head.model_fields)
    assert head(**converted).name == name
    assert converted.get("anchor_scale", 4) == (4 if name == "retinanet" or "anchor_scale" not in converted else 8)


def test_what_did_nothing_is_left_out() -> None:
    flat = OLD["segmentation"]["model.json"]["head"] | {"name": "unet", "balance_classes": True}
    for loss, change in (("dice", {"label_smoothing": 0.1}), ("cross_entropy + dice", {"class_weights": [1.0, 2.0]})):
        converted = convert_description({"head": flat | {"loss": loss} | change}, Path("model.json"))["head"]
        head = find_head("unet", "segmentation")(**converted)
        assert not any(getattr(head, name) for name in change)


@pytest.mark.parametrize("content", [[], "text", {"format": "one"}, {"format": True}, {"format": -1}, {"head": []}])
def test_what_is_no_description_is_named(content: Any) -> None:
    with pytest.raises(InputError, match=r"^model\.json: not a description of a model"):
        convert_description(content, Path("model.json"))


@pytest.mark.parametrize(
    "change", [{"task": None}, {"head": {"name": ["unet"]}}, {"backbone": {"nme": 1}}, {"mean": 3}]
)
def test_a_damaged_description_is_one_line(
    old: tuple[Path, dict[str, Any]], change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run, content = old
    (run / "best/model.json").write_text(json.dumps(content["model.json"] | change))
    settings = run_settings(backbone={"name": "resnet18", "weights": str(run)})
    with pytest.raises(InputError, match=r"model\.json: not a description of a model"):
        task_from_settings(settings, ["a"])
    assert main(["evaluate", str(run), "--workers", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_its_config_repeats_the_run(old: tuple[Path, dict[str, Any]]) -> None:
    run, content = old
    settings = parse_settings(["--config", str(run / "config.yaml")])
    expected = convert_description(content["model.json"], Path("model.json"))["head"]
    assert expected.items() <= settings.head.model_dump(mode="json").items()


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_a_config_with_heads_of_their_own_and_data_of_all_tasks_is_read(task: str, tmp_path: Path) -> None:
    """As it was written for a while."""
    data = {"path": "folder", "sampling": "each", "repeat_threshold": 0.1, "count": 9, "fit": "crop", "classes": []}
    data |= {"balanced_crops": False, "ignore_index": None, "voc_one_based": False}
    values = {"task": task, "data": data, "head": {"name": "unet" if task == "segmentation" else "fcos"}}
    (tmp_path / "config.yaml").write_text(json.dumps(values | {"evaluator": "hotcoco"}))
    settings = parse_settings(["--config", str(tmp_path / "config.yaml")])
    assert settings.head.kind() == values["head"]["name"]
    assert hasattr(settings.data, "fit") == (task == "segmentation")
