"""Flags, files and defaults come together; what does not fit is one line that names it."""

import pickle
import re
from pathlib import Path

import pytest
import yaml

from tasks.commands.train import parse_settings
from tasks.config import DataSettings, SettingsError, find_recipe, get, list_recipes, merge, read_yaml
from tasks.heads import list_heads
from tests.heads import run_settings

ROOT = Path(__file__).resolve().parents[3]


def test_short_and_dotted_flags_are_the_same_setting() -> None:
    short = "--data shapes --image-size 64 --batch-size 2 --backbone resnet34 --freeze 1-3 --norm frozen --lr 0.1"
    dotted = (
        "--data.path shapes --data.image-size 64 --data.batch-size 2 --backbone.name resnet34 "
        "--backbone.freeze 1-3 --backbone.norm frozen --optim.lr 0.1"
    )
    assert parse_settings(short.split()) == parse_settings(dotted.split())


def test_every_promised_flag_exists() -> None:
    argv = (
        "--task detection --data shapes --backbone resnet50 --weights imagenet --freeze 2 --norm batch --epochs 3 "
        "--batch-size 1 --lr 1e-3 --image-size 96 --seed 7 --output out --save-every 5 --head faster_rcnn"
    )
    settings = parse_settings(argv.split())
    assert (settings.schedule.epochs, settings.optim.lr, settings.backbone.weights) == (3, 1e-3, "imagenet")
    assert (settings.save_every, settings.seed, settings.output, settings.backbone.freeze) == (5, 7, "out", "2")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--epoch 3", "--epoch: there is no such flag; did you mean --epochs?"),
        ("--bacbone resnet18", "--bacbone: there is no such flag; did you mean --backbone?"),
        ("--weigths x.pth", "--weigths: there is no such flag; did you mean --weights?"),
        ("--data.workres 4", "--data.workres: there is no such flag; did you mean --data.workers?"),
        ("--data.workers -4", "data.workers: -4: Input should be greater than or equal to 0"),
        ("--epochs many", "invalid literal for int() with base 10: 'many'"),
        ("--task detecton", "'detecton'"),
        ("--head mask", "'mask'"),
        ("--resume", "--resume: needs --output"),
        ("--config absent.yaml", "'absent.yaml': neither a file nor a recipe (recipes: classification/finetune,"),
        ("--lr", "Missing value"),
    ],
)
def test_wrong_flags_are_one_line(argv: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(argv.split())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optim: {lrr: 1}", "optim.lrr: adamw has no such setting (it has name, "),
        ("batch_size: 4", "batch_size: there is no such setting; did you mean data.batch_size?"),
        ("optim: {lr: -1}", "optim.lr: -1: Input should be greater than 0"),
        ("precision: fp8", "precision: 'fp8'"),
        ("- a list", "must hold settings"),
        ("optim: {lr: 0.1}\nseed: 3\noptim: {lr: 0.2}", "the key 'optim' stands twice"),
        ("data: {path: shapes, path: shapes}", "the key 'path' stands twice"),
        ("optim.lr: 0.2\noptim: {lr: 0.1}", "the setting optim.lr stands twice"),
        ("save-every: 3\nsave_every: 4", "the setting save_every stands twice"),
        ("head.name: fcos\nhead: retinanet", "the setting head.name stands twice"),
        ("optim.: 2", "optim.: there is no such setting"),
        ("seed: !!int abc", "not YAML: "),
        ("a: !!bool maybe", "not YAML: "),
        ("a: " + "[" * 3000, "not YAML: nested too deep"),
        ("optim: {name: adamw, betas: [1.5, 0.9]}", "optim.betas.0: 1.5: Input should be less than 1"),
        ("head: {aspect_ratios: [-1]}", "head.aspect_ratios.0: -1: Input should be greater than 0"),
        ("optim: {lr: 1e-7}\nschedule.name: restarts", "schedule.eta_min: 1e-06: is above optim.lr, 1e-07"),
        ("config: other.yaml", "config: a file of settings cannot name another one"),
        ("head: &a {name: *a}", "an alias refers to what it stands in"),
        ("schedule: {epochs: true}", "schedule.epochs: True: a number is wanted"),
        ("schedule: {epochs: [3]}", "schedule.epochs: [3]: Input should be a valid integer"),
        ("schedule: {epochs: {a: 1}}", "schedule.epochs: {'a': 1}: Input should be a valid integer"),
        ("data: [a]", "data.path: ['a']: Input should be a valid string"),
        ("optim: {name: [sgd]}", "optim.name: ['sgd'] is not known"),
        ("schedule: {epochs: 10:0}", "schedule.epochs: '10:0': Input should be a valid integer"),
        ("output: [a]\nresume: true", "output: ['a']: Input should be a valid string"),
        ("a: [", "not YAML"),
    ],
)
def test_wrong_files_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        parse_settings(["--config", str(file)])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_survive_yaml(tmp_path: Path) -> None:
    settings = parse_settings(["--freeze", "1-3", "--lr", "1e-5", "--backbone.hold-norms", "False"])
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings.model_dump()))
    assert run_settings(**read_yaml(tmp_path / "c.yaml")) == settings


@pytest.mark.parametrize("recipe", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_are_valid(recipe: Path) -> None:
    assert parse_settings(["--config", str(recipe)]).task == recipe.parent.name


def test_recipes_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_recipes() == sorted(
        path.relative_to(ROOT / "configs").with_suffix("").as_posix() for path in (ROOT / "configs").rglob("*.yaml")
    )
    file = ROOT / "configs/detection/finetune.yaml"
    assert find_recipe("detection/finetune") == find_recipe(str(file)) == file
    named, given = (parse_settings(["--config", value]) for value in ("detection/finetune", str(file)))
    assert named.model_copy(update={"config": str(file)}) == given
    with pytest.raises(SettingsError, match="did you mean 'detection/finetune'"):
        find_recipe("detection/finetun")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "detection").mkdir()
    (tmp_path / "detection/finetune").write_text("optim: {lr: 0.5}\n")
    assert parse_settings(["--config", "detection/finetune"]).optim.lr == 0.5


@pytest.mark.parametrize("task", ["detection", "segmentation", "classification"])
def test_the_defaults_equal_the_recipe_for_shapes(task: str) -> None:
    """So an installed user needs no file."""
    values = read_yaml(ROOT / f"configs/{task}/shapes.yaml")
    assert run_settings(values["head"]["name"], **values) == parse_settings(["--task", task])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--task segmentation --head faster_rcnn", "'faster_rcnn' is not for segmentation (for it: deeplabv3,"),
        ("--head unet", "'unet' is not for detection"),
        (
            "--task segmentation --head.anchor-scale 4",
            "--head.anchor-scale: unet has no such setting (it has name, ",
        ),
        ("--task segmentation --head pan --head.center", "--head.center: pan has no such setting (it has "),
        ("--backbone.output-stride 16", "backbone.output_stride: 16: faster_rcnn takes 32"),
        ("--head.deep-supervision", "--head.deep-supervision: faster_rcnn has no such setting (it has "),
    ],
)
def test_heads_and_their_settings_go_together(argv: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(argv.split())
    assert message in str(caught.value)


def test_your_own_data_starts_from_the_ordinary_defaults(tmp_path: Path) -> None:
    settings = parse_settings(["--data", str(tmp_path)])
    assert settings.data.path == str(tmp_path)
    assert settings == run_settings(data={"path": str(tmp_path)})
    assert (settings.data.image_size, get(settings, "head.channels")) == (320, 256)


def test_merge_lays_values_over_group_by_group() -> None:
    assert merge({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}, "e": 4}) == {"a": {"b": 9, "c": 2}, "d": 3, "e": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("head: 3", "head.name: 3 is not known"),
        ("head: [unet]", "head.name: ['unet'] is not known; did you mean 'unet'?"),
        ("task: 3", "task: 3 is not known"),
        ("task: null", "task: None is not known"),
    ],
)
def test_what_is_no_name_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=re.escape(message)):
        parse_settings(["--config", str(file)])


def test_a_group_alone_names_its_settings_by_their_paths() -> None:
    with pytest.raises(SettingsError, match=r"^data\.imgsize: there is no such setting; did you mean data\.image_size"):
        DataSettings(imgsize=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("head", list_heads())
def test_settings_survive_pickle(head: str) -> None:
    settings = run_settings(head, data={"image_size": 96})
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings
    assert type(again) is type(settings)


def test_a_schedule_has_its_own_settings() -> None:
    settings = parse_settings(["--schedule.name", "restarts", "--schedule.T-0", "3"])
    assert (settings.schedule.epochs, get(settings, "schedule.T_0"), get(settings, "schedule.T_mult")) == (3, 3, 2)
    with pytest.raises(SettingsError, match=r"--schedule\.T-0: cosine has no such setting \(it has name, epochs, "):
        parse_settings(["--schedule.T-0", "3"])
    with pytest.raises(SettingsError, match=r"--optim\.momentum: adamw has no such setting \(it has name, lr, "):
        parse_settings(["--optim.momentum", "0.5"])


def test_numbers_and_switches_in_yaml_are_what_people_mean(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "optim: {lr: 1e-4, weight_decay: 2.5E-3}\noutput: 2026\nresume: 'off'\nseed: 010\nverify_freeze: yes\n"
    )
    settings = parse_settings(["--config", str(file)])
    assert (settings.optim.lr, settings.optim.weight_decay) == (1e-4, 2.5e-3)
    assert (settings.output, settings.resume, settings.seed, settings.verify_freeze) == ("2026", False, 10, True)


def test_home_is_expanded_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "c.yaml").write_text("output: ~/runs/one\ndata: {path: ~/data, also: [~/more], augment: ~/own.yaml}\n")
    settings = parse_settings(["--config", "~/c.yaml", "--weights", "~/w.pth"])
    assert settings.output == str(tmp_path / "runs/one")
    assert (settings.data.path, settings.data.also) == (str(tmp_path / "data"), (str(tmp_path / "more"),))
    assert (settings.data.augment, settings.backbone.weights) == (str(tmp_path / "own.yaml"), str(tmp_path / "w.pth"))
    monkeypatch.chdir(tmp_path)
    assert parse_settings(["--data.augment", "own.yaml"]).data.augment == str(tmp_path / "own.yaml")


def test_a_group_without_a_line_is_none(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("optim:\n  # lr: 0.1\ndata:\nschedule:\nbackbone:\nhead:\noutput: 2026-01-01\n")
    settings = parse_settings(["--config", str(file)])
    assert settings.output == "2026-01-01"
    assert settings.optim == parse_settings([]).optim


def test_an_unknown_home_is_a_name_like_any_other() -> None:
    with pytest.raises(SettingsError, match=r"config: '~nobody-of-this-name/x': neither a file nor a recipe"):
        parse_settings(["--config", "~nobody-of-this-name/x"])
    assert parse_settings(["--output", "~nobody-of-this-name/x"]).output == "~nobody-of-this-name/x"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--data.classes a b", "--data.classes: there is no such flag"),
        ("--data.ignore-index 3", "--data.ignore-index: there is no such flag"),
        ("--data.fit resize", "--data.fit: there is no such flag"),
        ("--data.balanced-crops", "--data.balanced-crops: there is no such flag"),
        ("--task segmentation --evaluator pycocotools", "--evaluator: there is no such flag"),
        ("--task segmentation --data.voc-one-based", "--data.voc-one-based: there is no such flag"),
        ("--task segmentation --head.class-weights 1 2 --head.loss dice", "head.class_weights: is of cross_entropy"),
        ("--task segmentation --head.balance-classes --head.loss bce", "head.balance_classes: is of cross_entropy"),
        (
            "--task segmentation --head.label-smoothing 0.1 --head.loss focal",
            "head.label_smoothing: is of cross_entropy",
        ),
        ("--task segmentation --head.overlap 0.3", "head.overlap: is of head.window, which is not set"),
        ("--data.repeat-threshold 0.3", "data.repeat_threshold: is of data.sampling repeat; here it is each"),
        ("--data absent --data.count 9", "data.count: is of the built-in shapes; here data is absent"),
        ("--weights w.pth --backbone.init zero_last", "backbone.init: is for training from scratch"),
        ("--device gpu:x", "device: 'gpu:x': wanted is auto, cpu, cuda, cuda:1 or mps"),
    ],
)
def test_what_would_do_nothing_is_refused_by_name(argv: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(argv.split())
    assert str(caught.value).startswith(message)


def test_a_text_for_an_optimizer_or_a_schedule_is_its_name(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("optim: sgd\nschedule: restarts\n")
    settings = parse_settings(["--config", str(file)])
    assert (settings.optim.kind(), settings.schedule.kind()) == ("sgd", "restarts")
    file.write_text("optim: 0.3\nschedule: 7\n")
    settings = parse_settings(["--config", str(file)])
    assert (settings.optim.lr, settings.schedule.epochs) == (0.3, 7)


@pytest.mark.parametrize("flag", ["--output", "--data", "--weights", "--data.augment"])
def test_an_empty_text_is_no_path(flag: str) -> None:
    with pytest.raises(SettingsError, match="at least 1 character"):
        parse_settings([flag, ""])
