"""Defaults under a file under what was asked for: who wins, what is left out, what a resumed run holds to."""

import re
from pathlib import Path

import pytest
import yaml

from tasks.commands.train import parse_settings
from tasks.config import SettingsError, get, list_recipes
from tasks.heads import list_heads


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("data: shapes\noptim: {lr: 0.5, weight-decay: 1e-2}\nschedule.epochs: 9\nbackbone: resnet34\n")
    settings = parse_settings(["--config", str(file), "--lr", "0.25", "--data.workers", "0"])
    assert (settings.optim.lr, settings.optim.weight_decay, settings.schedule.epochs) == (0.25, 0.01, 9)
    assert (settings.backbone.name, settings.data.path, settings.data.workers) == ("resnet34", "shapes", 0)
    assert settings.data.image_size == 64


def test_resume_may_stand_in_the_file(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "last").mkdir(parents=True)
    (run / "config.yaml").write_text("optim: {lr: 0.01}")
    file = tmp_path / "c.yaml"
    file.write_text(f"resume: true\noutput: {run}\n")
    assert parse_settings(["--config", str(file)]).optim.lr == 0.01
    file.write_text(f"resume: true\noutput: {run}\noptim: {{lr: 0.5}}\n")
    with pytest.raises(SettingsError, match=r"optim\.lr: 0\.5 contradicts 0\.01"):
        parse_settings(["--config", str(file)])


@pytest.mark.filterwarnings("ignore:.*left out of the file's")
@pytest.mark.parametrize("recipe", list_recipes())
def test_a_flag_wins_over_a_recipes_head_and_task(recipe: str) -> None:
    task = recipe.partition("/")[0]
    for head in list_heads(task):
        assert parse_settings(["--config", recipe, "--head", head]).head.name == head
    other = "segmentation" if task == "detection" else "detection"
    settings = parse_settings(["--config", recipe, "--task", other])
    assert (settings.task, settings.head.task) == (other, other)


def test_what_only_the_files_head_has_is_left_out_and_named(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("head: {name: unet, center: true, loss: dice}\ntask: segmentation\n")
    message = r"^pan has no such settings, left out of the file's: head\.center$"
    with pytest.warns(UserWarning, match=message):
        settings = parse_settings(["--config", str(file), "--head", "pan"])
    assert get(settings, "head.loss") == "dice"
    file.write_text("head: {name: unet, centre: true}\ntask: segmentation\n")
    with pytest.raises(SettingsError, match=r"head\.centre: pan has no such setting"):  # a typo is still one
        parse_settings(["--config", str(file), "--head", "pan"])


def test_another_head_contradicts_the_run_that_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "last").mkdir()
    (tmp_path / "config.yaml").write_text("task: detection\nhead: {name: faster_rcnn}\n")
    for flags, message in (
        (
            ["--head", "fcos"],
            r"head\.name: 'fcos' contradicts 'faster_rcnn' in .*config\.yaml, which --resume goes on with",
        ),
        (["--task", "segmentation"], r"task: 'segmentation' contradicts 'detection' in .*config\.yaml"),
    ):
        with pytest.raises(SettingsError, match=message):
            parse_settings(["--resume", "--output", str(tmp_path), *flags])


def test_a_learning_rate_belongs_to_its_optimizer(tmp_path: Path) -> None:
    own_data = ["--data", str(tmp_path)]
    assert parse_settings([*own_data]).optim.lr == 0.01
    assert parse_settings([*own_data, "--optim.name", "adamw"]).optim.lr == 3e-4
    assert parse_settings([]).optim.lr == 1e-3  # of the shapes, with adamw
    assert parse_settings(["--optim.name", "sgd"]).optim.lr == 0.01
    file = tmp_path / "c.yaml"
    file.write_text("optim: {name: sgd, lr: 0.5, momentum: 0.8, weight_decay: 0.1}\n")
    assert get(parse_settings(["--config", str(file)]), "optim.momentum") == 0.8
    with pytest.warns(UserWarning, match="left out of the file's") as caught:
        settings = parse_settings(["--config", str(file), "--optim", "adamw", *own_data])
    assert [str(warning.message) for warning in caught] == [
        "adamw has no such settings, left out of the file's: optim.momentum",
        "left out of the file's settings: optim.lr, which was for sgd",
    ]
    assert (settings.optim.lr, settings.optim.weight_decay) == (3e-4, 0.1)


def test_the_same_command_resumes_where_a_flag_changed_what_the_file_had_not_named(tmp_path: Path) -> None:
    file, run = tmp_path / "c.yaml", tmp_path / "run"
    file.write_text("schedule: {warmup_steps: 5}\noptim: {lr: 0.1}\n")
    flags = ["--config", str(file), "--schedule", "restarts", "--optim", "sgd", "--output", str(run)]
    with pytest.warns(UserWarning, match="left out of the file's"):
        begun = parse_settings(flags)
    (run / "last").mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(begun.model_dump(exclude={"config", "output", "resume"})))
    with pytest.warns(UserWarning, match="left out of the file's"):
        resumed = parse_settings([*flags, "--resume"])
    assert resumed.optim == begun.optim
    assert resumed.schedule == begun.schedule


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("optim: {lr: -1}", "--lr 0.1"),
        ("schedule: {epochs: many}", "--epochs 3"),
        ("schedule: {name: restarts, eta_min: 0.02}\noptim: {name: sgd, lr: 0.001}", "--lr 0.05"),
        ("schedule: {name: restarts, eta_min: 0.02}\noptim: {name: sgd, lr: 0.05}", "--schedule.T-0 3"),
        ("task: segmentation\nhead: {name: unet, loss: dice, class_weights: [1, 2]}", "--head.loss cross_entropy"),
        ("task: segmentation\nhead: {name: unet, window: 64}", "--head.overlap 0.3"),
        ("data: {path: folder, count: 9}", "--data shapes"),
        ("data: {sampling: maybe, repeat_threshold: 0.3}", "--data.sampling=repeat"),
        ("verify_freeze: [1]\ndevice: 7", "--no-verify-freeze --device cpu"),
    ],
)
def test_file_and_flags_are_validated_together(tmp_path: Path, text: str, flags: str) -> None:
    """Not the file by itself, nor the flags on the defaults."""
    file = tmp_path / "c.yaml"
    file.write_text(text)
    alone = flags.split() if flags.startswith(("--schedule.T", "--head.overlap")) else ["--config", str(file)]
    with pytest.raises(SettingsError):
        parse_settings(alone)
    parse_settings(["--config", str(file), *flags.split()])


def test_what_only_the_files_task_has_is_left_out_and_named(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("task: detection\ndata: {voc_one_based: true, image_size: 96}\nevaluator: pycocotools\nseed: 3\n")
    message = r"^segmentation has no such settings, left out of the file's: evaluator, data\.voc_one_based$"
    with pytest.warns(UserWarning, match=message):
        settings = parse_settings(["--config", str(file), "--task", "segmentation"])
    assert (settings.data.image_size, settings.seed) == (96, 3)
    file.write_text("task: detection\ndata: {voc_one_basd: true}\n")
    with pytest.raises(SettingsError, match=r"data\.voc_one_basd: there is no such setting"):  # a typo is still one
        parse_settings(["--config", str(file), "--task", "segmentation"])


@pytest.mark.filterwarnings("ignore:.*left out of the file's")
@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("head: {name: unett, center: true}", "--head fcos"),
        ("task: detektion", "--task detection"),
        ("optim: {name: adam, lr: 0.1, momentum: 0.5}", "--optim adamw"),
        ("schedule: {name: cosin}", "--schedule cosine"),
        ("task: detection\nhead: {name: unet}", "--head fcos"),
        ("head: faster_rcnn", "--task segmentation"),
        ("head: unet", "--task detection"),
        ("resume: true", "--no-resume"),
        ("resume: true\noutput: {run}", "--no-resume --seed 5"),
    ],
)
def test_flags_mend_the_names_in_a_file(tmp_path: Path, text: str, flags: str) -> None:
    run = tmp_path / "run"
    (run / "last").mkdir(parents=True)
    (run / "config.yaml").write_text("seed: 1\n")
    file = tmp_path / "c.yaml"
    file.write_text(text.format(run=run) if "{run}" in text else text)
    settings = parse_settings(["--config", str(file), *flags.split()])
    assert settings.head.kind() == {"--head fcos": "fcos", "--task segmentation": "unet"}.get(flags, "faster_rcnn")
    assert not settings.resume


@pytest.mark.parametrize(
    ("text", "flags", "left_out"),
    [
        ("data: {count: 9}", "--data folder", "data.count: is of the built-in shapes; here data is "),
        (
            "data: {sampling: repeat, repeat_threshold: 0.5}",
            "--data.sampling each",
            "data.repeat_threshold: is of data.sampling repeat; here it is each",
        ),
        ("backbone: {init: zero_last}", "--weights imagenet", "backbone.init: is for training from scratch"),
        (
            "task: segmentation\nhead: {label_smoothing: 0.1}",
            "--head.loss dice",
            "head.label_smoothing: is of cross_ent",
        ),
        (
            "task: segmentation\nhead: {window: 64, overlap: 0.1}",
            "--head.window None",
            "head.overlap: is of head.window",
        ),
    ],
)
def test_what_a_flag_leaves_no_use_for_is_left_out_of_the_file(
    tmp_path: Path, text: str, flags: str, left_out: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.warns(UserWarning, match=f"^left out of the file's settings: {re.escape(left_out)}"):
        parse_settings(["--config", str(file), *flags.split()])
    path = left_out.partition(":")[0]
    flag = {"data.count": "9", "head.overlap": "0.1", "backbone.init": "zero_last"}.get(path, "0.3")
    with pytest.raises(SettingsError, match=re.escape(path)):  # asked for together they are refused
        parse_settings(
            [*flags.split(), f"--{path.replace('_', '-')}", flag, *(["--task", "segmentation"] * ("head" in path))]
        )


def test_a_file_that_leaves_no_use_for_its_own_settings_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("task: segmentation\nhead: {loss: dice, label_smoothing: 0.1}")
    with pytest.raises(SettingsError, match=r"head\.label_smoothing: is of cross_entropy"):
        parse_settings(["--config", str(file), "--seed", "3"])


def test_what_changes_no_result_may_change_on_resume(tmp_path: Path) -> None:
    (tmp_path / "last").mkdir()
    (tmp_path / "config.yaml").write_text("task: detection\nseed: 1\n")
    resume = ["--resume", "--output", str(tmp_path)]
    free = "--device cpu --data.workers 3 --save-every 2 --evaluator pycocotools --verify-freeze"
    settings = parse_settings([*resume, *free.split(), "--backbone.grad-checkpointing"])
    assert (settings.seed, settings.data.workers) == (1, 3)
    (tmp_path / "last").rmdir()  # nothing to go on with: it starts over, and nothing contradicts
    assert parse_settings([*resume, "--seed", "5"]).seed == 5
