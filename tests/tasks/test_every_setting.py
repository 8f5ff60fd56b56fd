"""Changing a setting changes something that can be seen, or, where results must stay equal, reaches its place.

The tables name every setting of every head, optimizer, schedule, task and backbone: one that is missing fails.
"""

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.config import BackboneSettings, OptimSettings, ScheduleSettings, setting_paths
from tasks.config.settings import TASKS, data_settings
from tasks.heads import head_named, list_heads
from tasks.training import find_optimizer, find_schedule, list_optimizers, list_schedules
from tests.tasks.doctor.clean import CLEAN
from tests.tasks.walk import NETWORK, Seen, prepare
from tests.writers import save_image

# The changed value, what shows it (a method of Seen), and what else has to be set for it.
Change = tuple[str, str, str]

BASE = f"--backbone {NETWORK} --data.count 8 --data.workers 0 --batch-size 4 --epochs 2 --image-size 64"
OF_DETECTORS = "--head.channels 64"
OF_REGIONS = "--head.representation 32 --head.rois-per-image 64"

_DETECTOR: dict[str, Change] = {
    "channels": ("96", "model", ""),
    "score_threshold": ("0.3", "model", ""),
    "detections_per_image": ("7", "model", ""),
}
_REGION: dict[str, Change] = _DETECTOR | {
    "representation": ("64", "model", ""),
    "v2": ("True", "model", ""),
    "anchor_scale": ("5", "model", ""),
    "rois_per_image": ("17", "model", ""),
    "aspect_ratios": ("0.5 2.0", "model", ""),
    "rpn_pre_nms_top_n_train": ("777", "model", ""),
    "rpn_pre_nms_top_n_test": ("777", "model", ""),
    "rpn_post_nms_top_n_train": ("77", "model", ""),
    "rpn_post_nms_top_n_test": ("77", "model", ""),
    "rpn_nms_thresh": ("0.5", "model", ""),
    "rpn_fg_iou_thresh": ("0.6", "model", ""),
    "rpn_bg_iou_thresh": ("0.2", "model", ""),
    "box_nms_thresh": ("0.4", "model", ""),
    "box_fg_iou_thresh": ("0.6", "model", ""),
    "box_bg_iou_thresh": ("0.4", "model", ""),
}
_FOCAL: dict[str, Change] = {"focal_alpha": ("0.6", "losses", ""), "focal_gamma": ("1.5", "losses", "")}
_SEGMENTER: dict[str, Change] = {
    "loss": ("bce+lovasz", "losses", ""),
    "class_weights": ("1 2 3 4", "losses", ""),
    "balance_classes": ("True", "losses", ""),
    "label_smoothing": ("0.2", "losses", ""),
    "focal_alpha": ("0.3", "losses", "--head.loss focal"),
    "focal_gamma": ("1.5", "losses", "--head.loss focal"),
    "tversky_beta": ("0.5", "losses", "--head.loss tversky"),
    "window": ("32", "predictions", ""),
    "overlap": ("0.8", "predictions", "--head.window 32"),
    "mirror": ("True", "predictions", ""),
    "boundary_tolerance": ("2", "metrics", ""),
}
_CHANNELS: dict[str, Change] = {"channels": ("64", "model", "")}
_DROPOUT: dict[str, Change] = {"dropout": ("0.37", "model", "")}
_WIDTHS: dict[str, Change] = {"decoder_channels": ("64 32 16", "model", "")}
_ATTENTION: dict[str, Change] = {"attention": ("scse", "model", "")}
HEADS: dict[str, dict[str, Change]] = {
    "faster_rcnn": _REGION,
    "mask_rcnn": _REGION,
    "retinanet": _DETECTOR
    | _FOCAL
    | {
        "anchor_scale": ("5", "model", ""),
        "aspect_ratios": ("0.5 2.0", "model", ""),
        "topk_candidates": ("77", "model", ""),
        "nms_thresh": ("0.4", "model", ""),
        "fg_iou_thresh": ("0.6", "model", ""),
        "bg_iou_thresh": ("0.3", "model", ""),
    },
    "fcos": _DETECTOR
    | _FOCAL
    | {
        "topk_candidates": ("77", "model", ""),
        "nms_thresh": ("0.4", "model", ""),
        "center_sampling_radius": ("2.5", "model", ""),
    },
    "unet": _SEGMENTER
    | _WIDTHS
    | _ATTENTION
    | {"center": ("True", "model", ""), "deep_supervision": ("True", "model", "")},
    "unetplusplus": _SEGMENTER | _WIDTHS | _ATTENTION,
    "manet": _SEGMENTER | _WIDTHS,
    "linknet": _SEGMENTER,
    "fpn": _SEGMENTER | _CHANNELS | _DROPOUT,
    "pspnet": _SEGMENTER | _DROPOUT,
    "pan": _SEGMENTER,
    "deeplabv3": _SEGMENTER | _CHANNELS | _DROPOUT,
    "deeplabv3plus": _SEGMENTER | _CHANNELS | _DROPOUT,
    "upernet": _SEGMENTER | _CHANNELS,
    "linear": _DROPOUT
    | {
        "label_smoothing": ("0.2", "losses", ""),
        "mixup": ("0.4", "losses", ""),
        "cutmix": ("1", "losses", ""),
    },
}
FAST = ("faster_rcnn", "fcos", "unet", "fpn", "linear")
OPTIMIZERS: dict[str, dict[str, Change]] = {
    name: {
        "lr": ("0.123", "optimizer", ""),
        "weight_decay": ("0.05", "optimizer", ""),
        "clip_norm": ("3", "optimizer", ""),
    }
    | {"sgd": {"momentum": ("0.5", "optimizer", "")}, "adamw": {"betas": ("0.8 0.9", "optimizer", "")}}[name]
    for name in ("sgd", "adamw")
}
SCHEDULES: dict[str, dict[str, Change]] = {
    "cosine": {"epochs": ("5", "rates", ""), "warmup_steps": ("1", "rates", "--epochs 40")},
    "restarts": {
        "epochs": ("5", "rates", ""),
        "T_0": ("2", "rates", ""),
        "T_mult": ("3", "rates", "--schedule.T-0 1"),
        "eta_min": ("0.0005", "rates", ""),
    },
}
# Only together, and with folders laid out for them: tests/tasks/data/formats/test_places.py.
OF_PLACE = {"images", "annotations", "format", "val_images", "val_annotations", "test_images", "test_annotations"}
# And of images that are not among these: tests/tasks/data/test_intensity.py.
OF_PLACE |= {"allow_outside", "intensity"}
# Of files without names: tests/tasks/data/formats/test_label_files.py.
OF_IDX = {"classification": {"classes"}}
_DATA: dict[str, Change] = {
    "path": ("{other}", "batches", ""),
    "also": ("{other}", "batches", ""),
    "keep": ("{kind}", "text", ""),
    "rename": ("{kind}=something", "text", ""),
    "sampling": ("weighted", "batches", ""),
    "repeat_threshold": ("1", "batches", "--data.sampling repeat"),
    "image_size": ("96", "batches", ""),
    "batch_size": ("3", "batches", ""),
    "workers": ("1", "place", ""),
    "augment": ("strong", "batches", ""),
    "val_fraction": ("0.5", "batches", ""),
    "split_seed": ("1", "batches", ""),
    "count": ("12", "batches", "--data shapes"),
}
DATA: dict[str, dict[str, Change]] = {
    "detection": _DATA | {"voc_one_based": ("True", "batches", "")},
    "segmentation": _DATA
    | {
        "fit": ("resize", "batches", "--image-size 32"),
        "balanced_crops": ("True", "batches", "--image-size 32"),
        "keep": ("0 1", "text", ""),
        "classes": ("soil nucleus dirt", "text", ""),
        "ignore_index": ("2", "batches", ""),
        "mask_threshold": ("2", "batches", ""),
    },
    "classification": _DATA
    | {
        "fit": ("resize", "batches", ""),
        "crop_scale": ("0.9 1.0", "batches", ""),
        "crop_ratio": ("0.5", "batches", ""),
        "keep": ("cat dog", "text", ""),
    },
}
BACKBONE: dict[str, Change] = {
    "name": ("resnet34", "model", ""),
    "weights": ("{weights}", "model", ""),
    "freeze": ("1-3", "model", "--backbone.weights {weights}"),
    "norm": ("group", "model", ""),
    "in_channels": ("1", "model", ""),
    "drop_path": ("0.3", "model", ""),
    "output_stride": ("16", "model", "--task segmentation --head deeplabv3"),
    "deformable_stages": ("4", "model", "--backbone resnet50"),
    "grad_checkpointing": ("True", "place", ""),
    "compile_frozen": ("True", "place", "--freeze 1 --weights {weights}"),
    "stride_in_1x1": ("True", "model", "--backbone resnet50"),
    "hold_norms": ("True", "model", ""),
    "init": ("zero_last", "model", ""),
}
RUN: dict[str, Change] = {
    "config": ("detection/finetune", "losses", ""),  # bf16
    "output": ("{folder}/elsewhere", "place", ""),
    "device": ("cpu", "place", ""),
    "precision": ("bf16", "losses", ""),
    "seed": ("7", "batches", ""),
    "save_every": ("7", "place", ""),
    "verify_freeze": ("True", "place", ""),
    "profile": ("True", "place", ""),
    "accumulate": ("2", "place", ""),
    "ema": ("0.9", "place", ""),
    "max_minutes": ("9", "place", ""),
    "patience": ("3", "place", ""),
    "non_finite": ("skip", "place", ""),
    "overfit": ("2", "batches", ""),
    "dry_run": ("True", "rates", ""),
    "evaluator": ("pycocotools", "place", ""),
}
# These choose the settings there are, or go on with a run that there is not here.
ELSEWHERE = {"task", "resume", "resume_anyway", "replay", "name"}


def _flags(path: str, value: str) -> list[str]:
    flag = f"--{path.replace('_', '-')}"
    return [flag, *value.split()] if value != "True" or path.endswith("hold_norms") else [flag]


def _head_flags(name: str) -> str:
    head = head_named(name)
    small = f"{OF_DETECTORS} {OF_REGIONS if 'rcnn' in name else ''}" if head.task == "detection" else ""
    return f"--task {head.task} --head {name} {small} {BASE}"


@cache
def _before(argv: str, what: str, folder: Path) -> str:
    return prepare(argv.split(), folder).look(what)


def _check(base: str, path: str, change: Change, folder: Path) -> Seen:
    value, what, more = change
    argv = f"{base} {more}"
    after = prepare([*argv.split(), *_flags(path, value)], folder / "after")
    assert _before(argv, what, folder / "before") != after.look(what), f"{path} {value} changes nothing of the {what}"
    return after


def _heads_settings() -> list[Any]:
    """Of every head; the slow ones have what the others have too."""
    return [
        pytest.param(head, name, id=f"{head}-{name}", marks=() if head in FAST else pytest.mark.slow)
        for head, changes in HEADS.items()
        for name in changes
    ]


@pytest.mark.parametrize(("head", "name"), _heads_settings())
def test_a_heads_setting_does_something(head: str, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    _check(_head_flags(head), f"head.{name}", HEADS[head][name], tmp_path_factory.mktemp("run"))


def test_the_tables_are_whole() -> None:
    assert set(HEADS) == set(list_heads())
    for name, changes in HEADS.items():
        assert set(setting_paths(head_named(name))) - ELSEWHERE == set(changes), name
    assert {name: set(setting_paths(find_optimizer(name))) - ELSEWHERE for name in list_optimizers()} == {
        name: set(changes) for name, changes in OPTIMIZERS.items()
    }
    assert {name: set(setting_paths(find_schedule(name))) - ELSEWHERE for name in list_schedules()} == {
        name: set(changes) for name, changes in SCHEDULES.items()
    }
    for task, changes in DATA.items():
        assert set(setting_paths(data_settings(task))) - OF_PLACE - OF_IDX.get(task, set()) == set(changes)
    assert set(setting_paths(BackboneSettings)) == set(BACKBONE)
    alone = {path for settings in TASKS.values() for path in setting_paths(settings) if "." not in path}
    assert alone - ELSEWHERE == set(RUN)
    assert set(setting_paths(OptimSettings)) | set(setting_paths(ScheduleSettings)) <= {
        name for changes in [*OPTIMIZERS.values(), *SCHEDULES.values()] for name in changes
    } | {"name"}


@pytest.mark.parametrize(
    ("optimizer", "name"), [(one, name) for one, changes in OPTIMIZERS.items() for name in changes]
)
def test_an_optimizers_setting_does_something(optimizer: str, name: str, tmp_path: Path) -> None:
    base = f"{_head_flags('unet')} --optim {optimizer}"
    _check(base, f"optim.{name}", OPTIMIZERS[optimizer][name], tmp_path)


@pytest.mark.parametrize(("schedule", "name"), [(one, name) for one, changes in SCHEDULES.items() for name in changes])
def test_a_schedules_setting_does_something(schedule: str, name: str, tmp_path: Path) -> None:
    base = f"{_head_flags('unet')} --schedule {schedule}"
    _check(base, f"schedule.{name}", SCHEDULES[schedule][name], tmp_path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sets without a val split: one to train on, and another, for each task."""
    made = {}
    for form, task in (("voc", "detection"), ("masks", "segmentation"), ("folders", "classification")):
        for name in ("own", "other"):
            folder = CLEAN[form](tmp_path_factory.mktemp(f"{task}-{name}") / "data")
            made[f"{task} {name}"] = folder
            if form == "voc":
                (folder / "ImageSets/Main/val.txt").unlink()
                for number in range(2, 12):  # a class that is rarer than the other
                    file = folder / f"Annotations/t{number}.xml"
                    file.write_text(file.read_text().replace("white", "red"))
            elif form == "folders":
                for place in (folder / "train").iterdir():
                    place.rename(folder / place.name)
                for leftover in ("train", "val"):
                    shutil.rmtree(folder / leftover)
            else:
                (folder / "val").rename(folder / "test")
                (folder / "classes.txt").unlink()
                for number in (0, 1):
                    mask = np.asarray(Image.open(folder / f"train/masks/{number}.png")).copy()
                    mask[30:40, 10:40] = 2
                    Image.fromarray(mask).save(folder / f"train/masks/{number}.png")
                for number in range(5, 12):
                    Image.fromarray(np.zeros((48, 64), np.uint8)).save(folder / f"train/masks/{number}.png")
            if name == "other":
                for file in [*folder.rglob("t5.jpg"), *folder.rglob("train/images/5.jpg"), *folder.rglob("cat/5.png")]:
                    save_image(file, 64, 48)
                    file.rename(file.with_stem("a"))
                for file in [*folder.rglob("t5.xml"), *folder.rglob("train/masks/5.png")]:
                    file.rename(file.with_stem("a"))
                for file in folder.rglob("train.txt"):
                    file.write_text(file.read_text().replace("t5\n", "a\n"))
    return made


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, changes in DATA.items() for name in changes])
def test_a_data_setting_does_something(task: str, name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    head = {"detection": "retinanet", "segmentation": "unet", "classification": "linear"}[task]
    value, what, more = DATA[task][name]
    flags = _head_flags(head)
    if "shapes" not in more:
        flags = f"{flags.replace('--data.count 8', '')} --data {folders[f'{task} own']}"
    kind = {"detection": "white", "segmentation": "1", "classification": "fox"}[task]
    change = (value.format(other=folders[f"{task} other"], kind=kind), what, more)
    _check(flags, f"data.{name}", change, tmp_path)


@pytest.mark.parametrize("name", BACKBONE)
def test_a_backbones_setting_does_something(name: str, tmp_path: Path) -> None:
    import torch

    from backbones import create_backbone

    weights = tmp_path / "weights.pth"
    torch.save(create_backbone("resnet18").state_dict(), weights)
    value, what, more = (text.format(weights=weights) for text in BACKBONE[name])
    base = _head_flags("retinanet").replace(NETWORK, "resnet18")
    if "--task" in more:
        base = f"--backbone resnet18 {BASE.replace(f'--backbone {NETWORK}', '')}"
    if "--backbone resnet50" in more:
        base, more = base.replace("resnet18", "resnet50"), ""
    _check(base, f"backbone.{name}", (value, what, more), tmp_path)


@pytest.mark.filterwarnings("ignore:freezing a backbone that has no pretrained weights")
@pytest.mark.parametrize("name", RUN)
def test_a_runs_setting_does_something(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value, what, more = RUN[name]
    if name == "device":  # where there is nothing else, it is the CPU that it finds
        monkeypatch.setattr("tasks.training.device.find_device", lambda name="auto": _device(name))
    _check(_head_flags("faster_rcnn"), name, (value.format(folder=tmp_path), what, more), tmp_path)


def _device(name: str) -> object:
    import torch

    return torch.device("cpu", 0) if name == "auto" else torch.device(name)
