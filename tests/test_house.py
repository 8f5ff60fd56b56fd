"""Who may import whom: the rules of docs/architecture.md hold, and a violation of each is found."""

import subprocess
import sys

import pytest

from tests.house import FLOORS, House, read_house

HOUSE = read_house()


def test_the_house_stands() -> None:
    assert HOUSE.violations() == []


def test_no_folder_is_a_jumble() -> None:
    folder, share = next(iter(HOUSE.shares().items()))
    assert share < 0.2, f"{folder} has {share:.0%} of the lines"


def test_every_room_is_there_and_says_what_it_is_for() -> None:
    for room in FLOORS:
        assert room in HOUSE.sources or room == "tools"
    for package in HOUSE.packages - {"tools"}:
        assert HOUSE.sources[package].startswith('"""'), package


@pytest.mark.parametrize(
    ("module", "code", "message"),
    [
        # upwards
        ("backbones.fpn", "from tasks.data import Loader", "from floor 1 up to 2"),
        ("tasks.data.formats.voc", "import tasks.training", "from floor 2 up to 5"),
        ("tasks.training.trainer", "from tasks.commands import main", "from floor 5 up to 8"),
        ("tasks.detection.task", "def late():\n    from tasks.training import Trainer", "from floor 4 up to 5"),
        (
            "tasks.drawing.sheets",
            "if TYPE_CHECKING:\n    from tasks.detection import Detections",
            "floor 3 up to 4",
        ),
        # two files that import each other
        ("backbones.freezing", "from backbones.features import Backbone", "files import each other"),
        ("backbones.freezing", "def late():\n    from backbones.features import Backbone", "files import each other"),
        (
            "tasks.config.group",
            "if TYPE_CHECKING:\n    from tasks.config.settings import Settings",
            "files import each other",
        ),
        # past an __init__, or what it does not hand out
        ("tasks.detection.task", "from tasks.data.images import read_image", "past the __init__ of tasks.data"),
        ("tasks.detection.task", "from tasks.data import images", "past the __init__ of tasks.data"),
        ("tasks.detection.task", "import backbones.hub", "past the __init__ of backbones"),
        ("tasks.detection.task", "from tasks.data import decode_jpeg", "which does not hand it out"),
        ("tools.train", "from tasks.commands.train import main", "past the __init__ of tasks.commands"),
        # a room's own __init__, or that of a room within it
        ("tasks.data.formats.voc", "from tasks.data import read_image", "import each other by file"),
        ("backbones.registry", "from backbones.resnet import ResNet", "import each other by file"),
        # rooms that know nothing of each other
        ("tasks.detection.task", "from tasks.segmentation import UNet", "these are apart"),
        ("tasks.training.trainer", "from tasks.detection import DetectionTask", "these are apart"),
        ("tasks.doctor.page", "from tasks.deploy import load_predictor", "these are apart"),
        ("tasks.deploy.predictor", "def late():\n    from tasks import create_task", "these are apart"),
        ("tasks.config.settings", "import torch.nn", "tasks.config needs no torch"),
        ("tasks.config.settings", "def late():\n    import torchvision", "tasks.config needs no torch"),
        ("tasks.heads.unet", "from torch import nn", "tasks.heads needs no torch"),
        ("tasks.heads.pan", "import segmentation_models_pytorch", "tasks.heads needs no torch"),
        ("tasks.heads.unet", "from tasks.segmentation import UNet", "imported when it is built"),
        ("tasks.training.optimizers.sgd", "import torch", "tasks.training needs no torch"),
        # files that are found by name
        ("tasks.training.schedules.cosine", "import tasks.training.schedules.restarts", "know nothing of each other"),
        ("tasks.heads.mask_rcnn", "from tasks.heads.faster_rcnn import Head", "know nothing of each other"),
        ("tasks.data.formats.voc", "from tasks.data.formats.coco import read", "know nothing of each other"),
        ("tasks.commands.predict", "from tasks.commands.evaluate import main", "know nothing of each other"),
        # ways around
        (
            "tasks.detection.task",
            "import tasks.data\nx = tasks.data.images.read_image",
            "past the __init__ of tasks.data",
        ),
        ("tasks.data.images", "from importlib import import_module", "an import by name"),
        ("tasks.training.trainer", "from tasks.task import Batch", "which does not hand it out"),
        ("tasks.data.images", "from .findings import Finding", "imports are absolute"),
    ],
)
def test_a_violation_is_found(module: str, code: str, message: str) -> None:
    sources = HOUSE.sources | {module: f"{HOUSE.sources[module]}\n{code}\n"}
    assert any(message in line for line in House(sources, HOUSE.packages).violations())


def test_a_file_in_no_room_is_found() -> None:
    sources = HOUSE.sources | {"tasks.extras": '"""Odds and ends."""\n'}
    assert House(sources, HOUSE.packages).violations() == ["tasks.extras: is in no room"]


@pytest.mark.parametrize(
    "module", ["tasks.config", "tasks.heads", "tasks.training", "tasks.commands.train", "tasks.runs", "tasks.benchmark"]
)
def test_settings_and_heads_need_no_torch(module: str) -> None:
    code = f"import sys, {module}\nassert 'torch' not in sys.modules, sorted(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
