"""Classification through the same commands as the others, and its checkpoint as the backbone of another task."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tasks import load_predictor
from tasks.assembly import task_from_checkpoint, task_from_settings
from tasks.commands import main as vertebra
from tasks.commands.train import main
from tasks.data.formats.shapes import labelled_shapes_data
from tests.heads import run_settings
from tests.writers import write_class_folders

SMALL = "--task classification --data.count 48 --epochs 2 --seed 1 --image-size 32"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "labels"
    assert main([*SMALL.split(), "--head.mixup", "0.2", "--head.label-smoothing", "0.1", "--output", str(run)]) == 0
    return run


def test_a_run(finished: Path) -> None:
    summary = json.loads((finished / "run.json").read_text())
    assert summary["status"] == "completed"
    assert {"top1", "top5", "recall/circle", "images"} <= summary["metrics"].keys()
    model = json.loads((finished / "best/model.json").read_text())
    assert (model["task"], model["classes"]) == ("classification", ["circle", "square", "triangle"])
    assert (model["image_size"], model["fit"], model["crop_ratio"]) == (32, "resize", 0.875)
    assert model["lineage"] == {"data": "shapes", "epochs": 2, "seed": 1, "weights": None}


def test_evaluate_gives_the_runs_own_figures(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = json.loads((finished / "run.json").read_text())["metrics"]
    results = tmp_path / "results.json"
    assert vertebra(["evaluate", str(finished), "--mistakes", "--results", str(results)]) == 0
    rows = dict(
        row.strip("│ ").replace(" ", "").split("│") for row in capsys.readouterr().out.splitlines() if "│" in row
    )
    assert float(rows["top1"]) == pytest.approx(expected["top1"], abs=5e-4)
    found = json.loads(results.read_text())
    matrix = np.array(found["confusion"])
    assert matrix.sum() == expected["images"]
    assert matrix.trace() / matrix.sum() == pytest.approx(expected["top1"])
    assert vertebra(["evaluate", str(finished), "--evaluator", "hotcoco"]) == 2
    assert "--evaluator: for detection" in capsys.readouterr().err


def test_data_may_have_some_of_the_classes_and_no_others(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_class_folders(tmp_path / "some", {"": 5}, ("square", "triangle"))
    assert vertebra(["evaluate", str(finished), "--data", str(tmp_path / "some")]) == 0
    printed = capsys.readouterr().out
    assert "has no val split: all of its 8 images are evaluated" in printed
    assert "train (8)" in printed
    write_class_folders(tmp_path / "others", {"": 5}, ("square", "star"))
    assert vertebra(["evaluate", str(finished), "--data", str(tmp_path / "others")]) == 2
    assert "the model was not trained on the class 'star'" in capsys.readouterr().err


def test_predict_names_the_best_classes(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = labelled_shapes_data(1, 64).splits["train"][0].read()
    Image.fromarray(image).save(tmp_path / "a.png")
    results = tmp_path / "found.json"
    flags = ["--output", str(tmp_path / "out"), "--results", str(results)]
    assert vertebra(["predict", str(finished), str(tmp_path / "a.png"), *flags]) == 0
    assert (tmp_path / "out/a.jpg").is_file()
    predictor = load_predictor(finished)
    scores = predictor(tmp_path / "a.png")
    assert scores.shape == (3,)
    assert scores.sum().item() == pytest.approx(1)
    torch.testing.assert_close(predictor([image, image])[1], scores)
    best = predictor.classes[int(scores.argmax())]
    (one,) = json.loads(results.read_text())
    assert (one["file_name"], one["class"]) == ("a.png", best)
    assert one["scores"][best] == pytest.approx(scores.max().item())
    assert f"{best} {scores.max():.3f}" in capsys.readouterr().out


def test_a_run_resumes_to_the_same_weights(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks.training.trainer as trainer

    run, flags = tmp_path / "run", [*SMALL.split(), "--head.mixup", "0.2", "--head.label-smoothing", "0.1"]
    report = trainer.Trainer._report

    def dying(self: trainer.Trainer, step: Any, epoch: int) -> str:
        assert step.step < 5
        return report(self, step, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_report", dying)
        with pytest.raises(AssertionError):
            main([*flags, "--save-every", "2", "--output", str(run)])
    assert main([*flags, "--resume", "--output", str(run)]) == 0
    assert (run / "last/model.safetensors").read_bytes() == (finished / "last/model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("data", "flags", "message"),
    [
        (("cat",), "", "'cat' is the only class: there is nothing to tell apart"),
        (("cat", "dog"), "--backbone cifar_resnet20 --freeze 9", "9"),
        (("cat", "dog"), "--data.augment mosaic", "makes mosaics, which are for boxes"),
        (("cat", "dog"), "--head unet", "head.name: 'unet' is not for classification (for it: linear)"),
        (("cat", "dog"), "--data.classes a b", "data.classes: is for idx files and CIFAR"),
    ],
)
def test_what_cannot_be_is_one_line(
    data: tuple[str, ...], flags: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_class_folders(tmp_path / "data", {"train": 4, "val": 2}, data)
    run = tmp_path / "run"
    assert main(["--task", "classification", "--data", str(folder), *flags.split(), "--output", str(run)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not run.exists()


@pytest.mark.slow
def test_overfit_takes_images_of_several_classes(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path / "data", {"train": 6, "val": 2})
    flags = f"--task classification --data {folder} --data.fit resize --image-size 32 --backbone cifar_resnet20"
    run = tmp_path / "run"
    assert main([*flags.split(), "--overfit", "6", "--epochs", "1", "--lr", "3e-3", "--output", str(run)]) == 0
    metrics = json.loads((run / "run.json").read_text())["metrics"]
    assert metrics["images"] == 6
    assert min(metrics[f"recall/{name}"] for name in ("cat", "dog", "fox")) >= 0.5


@pytest.mark.parametrize(("head", "frozen"), [("faster_rcnn", "1-3"), ("unet", "2")])
def test_a_classifiers_checkpoint_is_a_backbone(finished: Path, head: str, frozen: str) -> None:
    backbone = {"name": "resnet18", "weights": str(finished / "best"), "freeze": frozen}
    task, line = task_from_settings(run_settings(head, backbone=backbone), ["a", "b"])
    assert f"the resnet18 of the model in {finished / 'best'}: 120 tensors taken" in line
    trained, description = task_from_checkpoint(finished / "best")
    own = task.backbone.state_dict()
    assert all(torch.equal(own[key], value) for key, value in trained.backbone.state_dict().items())
    assert list(task.backbone.mean) == description["mean"]


def test_the_lineage_goes_back_to_the_first(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = f"--task segmentation --data.count 16 --epochs 1 --weights {finished} --freeze 1-3 --output {run}"
    assert main([*flags.split(), "--head.decoder-channels", "16", "16", "16", "16", "16"]) == 0
    lineage = json.loads((run / "best/model.json").read_text())["lineage"]
    best = json.loads((finished / "best/model.json").read_text())
    assert lineage["before"] == {
        "task": "classification",
        "epoch": best["epoch"],
        "step": best["step"],
        **best["lineage"],
    }
    assert len(lineage["sha256"]) == 64


def test_a_grey_checkpoint_gives_a_coloured_task_its_backbone(tmp_path: Path) -> None:
    grey = tmp_path / "grey"
    assert main([*SMALL.split(), "--epochs", "1", "--backbone.in-channels", "1", "--output", str(grey)]) == 0
    settings = run_settings("unet", backbone={"name": "resnet18", "weights": str(grey)})
    task, line = task_from_settings(settings, ["a", "b"])
    assert "1 adapted (conv1.weight)" in line
    assert len(task.backbone.mean) == 3
    trained = task_from_checkpoint(grey / "best")[0]
    image = torch.rand(1, 1, 64, 64) * 255
    with torch.no_grad():
        levels = trained.backbone.eval()((image / 255 - trained.backbone.mean[0]) / trained.backbone.std[0])
        model = task.model.eval()
        found = task.backbone(model.normalize(image.expand(-1, 3, -1, -1)))  # type: ignore[operator]
    torch.testing.assert_close(found["c5"], levels["c5"], atol=1e-3, rtol=1e-3)


def test_a_grey_run_goes_on_in_colour(tmp_path: Path) -> None:
    grey = tmp_path / "grey"
    assert main([*SMALL.split(), "--epochs", "1", "--backbone.in-channels", "1", "--output", str(grey)]) == 0
    settings = run_settings("linear", backbone={"name": "resnet18", "weights": str(grey)})
    task = task_from_settings(settings, ["circle", "square", "triangle"])[0]
    trained = task_from_checkpoint(grey / "best")[0]
    image = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        theirs, ours = trained.model(image), task.model.eval()(image.expand(-1, 3, -1, -1))
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_predict_goes_into_folders_of_folders(finished: Path, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "data", {"": 1}, ("a", "b"))
    results = tmp_path / "found.json"
    flags = ["--output", str(tmp_path / "out"), "--results", str(results)]
    assert vertebra(["predict", str(finished), str(tmp_path / "data"), *flags]) == 0
    names = [one["file_name"] for one in json.loads(results.read_text())]
    assert names == ["a/0.png", "b/0.png", "b/1.png"]
