"""The packages of docs/plugins.md, as they stand there: installed, checked, trained, evaluated, loaded again."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from backbones import ConformanceError, InputError, create_backbone
from tasks import check_head, create_task
from tasks.config import HeadSettings, SettingsError
from tasks.heads import list_heads
from tests.heads import head as make_head

ROOT = Path(__file__).resolve().parents[1]
FILE = re.compile(r"^`([\w/.]+)`\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
IMAGE = ROOT / "docs/images/predictions.jpg"
SMALL = "--data.count 4 --data.workers 0 --epochs 1"
CHECKS = """
from backbones.conformance import check_backbone
from tasks import check_head, load_predictor
check_head("my_head", channels=8)
check_backbone("my_net")
predictor = load_predictor("run")
print("CLASSES", *predictor.classes)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both packages installed."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    files = FILE.findall((ROOT / "docs/plugins.md").read_text())
    assert len(files) == 5
    for name, text in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
        assert text.count("\n") <= 40
    for package in ("my_nets", "my_heads"):
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(source / "wheels")]
        subprocess.run(build, cwd=source / package, check=True, capture_output=True)
    wheels = map(str, sorted((source / "wheels").iterdir()))
    install = [os.environ.get("UV", "uv"), "pip", "install", "--offline", "--no-deps", "--target", str(site), *wheels]
    subprocess.run(install, check=True, capture_output=True)
    return site


def _run(site: Path, folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    paths = os.pathsep.join([str(site), str(ROOT)])
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_both_packages_work_as_ours_do(site: Path, tmp_path: Path) -> None:
    argv = f"--task segmentation --head my_head --head.channels 16 --backbone my_net --freeze 1 {SMALL} --output run"
    trained = _run(site, tmp_path, str(ROOT / "tools/train.py"), *argv.split())
    assert trained.returncode == 0, trained.stderr
    figures = json.loads((tmp_path / "run/run.json").read_text())["metrics"]
    description = json.loads((tmp_path / "run/best/model.json").read_text())
    assert description["head"]["channels"] == 16
    assert description["mean"] == [0.5] * 3
    evaluated = _run(site, tmp_path, str(ROOT / "tools/evaluate.py"), "run", "--workers", "0")
    assert evaluated.returncode == 0, evaluated.stderr
    assert f"{figures['mIoU']:.3f}" in evaluated.stdout
    predicted = _run(site, tmp_path, str(ROOT / "tools/predict.py"), "run", str(IMAGE), "--output", "found")
    assert predicted.returncode == 0, predicted.stderr
    assert (tmp_path / f"found/{IMAGE.name}").is_file()
    checked = _run(site, tmp_path, "-c", CHECKS)
    assert checked.returncode == 0, checked.stderr
    assert "BROKEN" not in checked.stdout
    assert "my_head: the contract of a head" in checked.stdout
    assert "my_net: the contract of a backbone" in checked.stdout
    assert f"CLASSES {' '.join(description['classes'])}" in checked.stdout


def test_their_settings_are_in_the_help_without_torch(site: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom tasks.commands.train import main\n"
        "try: main(['--task', 'segmentation', '--head', 'my_head', '--help'])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = _run(site, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    for text in ("--head.channels", "Width of the hidden layer.", "my_head"):
        assert text in done.stdout


BROKEN = """[vertebra.heads]
absent = absent_package:Head
number = math:pi
nameless = tasks.config:SegmenterSettings
unet = tasks.heads.unet:Head
taskless = taskless:Head
leaving = leaving:Head
wanting = wanting:Head
"""


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("absent", "head.name: 'absent': absent_package:Head cannot be imported: ModuleNotFoundError: No module named"),
        ("number", "head.name: 'number': math:pi is no head: it is no subclass of tasks.config.HeadSettings"),
        ("nameless", "head.name: 'nameless': tasks.config:SegmenterSettings is no head: its name is ''"),
        ("unet", "head.name: 'unet' is in several packages (tasks.heads.unet:Head, vertebra); uninstall the others"),
        (
            "taskless",
            "head.name: 'taskless': taskless:Head is no head: its task is '' (known: detection, segmentation, ",
        ),
    ],
)
def test_a_broken_package_is_named_in_one_line_and_harms_nobody_else(head: str, message: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(BROKEN)
    (site / "taskless.py").write_text(
        "from tasks.config import HeadName, HeadSettings\nclass Head(HeadSettings):\n    name: HeadName = 'taskless'\n"
    )
    (site / "leaving.py").write_text("raise SystemExit('bye')\n")
    (site / "wanting.py").write_text(
        "from tasks.config import HeadName, SegmenterSettings\n"
        "class Head(SegmenterSettings):\n    name: HeadName = 'wanting'\n    width: int\n"
    )
    train = str(ROOT / "tools/train.py")
    done = _run(site, tmp_path, train, "--task", "segmentation", "--head", head)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    for other in (["--task", "segmentation", "--head", "pan"], ["--task", "detection"]):
        assert _run(site, tmp_path, train, *other, "--help").returncode == 0


def _foreign(build: Any) -> HeadSettings:
    """A head of another package with this builder."""

    class Foreign(type(make_head("unet"))):  # type: ignore[misc]
        pass

    Foreign.__module__, Foreign.build = "my_heads.settings", build
    return Foreign()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda *_: 1 / 0, "cannot be built: ZeroDivisionError: division by zero"),
        (lambda *_: None, "builds a NoneType, no module"),
    ],
)
def test_a_head_that_cannot_be_built_is_one_line(build: Any, message: str) -> None:
    with pytest.raises(InputError, match=r"head 'unet' \(my_heads\.settings:.*Foreign\) " + message):
        create_task("segmentation", create_backbone("resnet18"), ["a", "b"], head=_foreign(build))


def test_a_head_that_breaks_its_contract_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One whose logits are of too many classes, whose class layers are others, and which leaves a parameter alone."""

    def build(self: Any, backbone: Any, num_classes: int, norm: str) -> nn.Module:
        network = make_head("unet", decoder_channels=(8, 8, 8)).build(backbone, num_classes + 1, norm)
        network.idle = nn.Parameter(torch.ones(1))
        return network

    class Foreign(type(make_head("unet"))):  # type: ignore[misc]
        class_layers = ("net.other.",)

    Foreign.__module__, Foreign.build = "my_heads.settings", build
    monkeypatch.setattr("tasks.conformance.heads.head_named", lambda name: Foreign)
    with pytest.raises(ConformanceError) as caught:
        check_head("unet", decoder_channels=(8, 8, 8))
    assert "class_layers ('net.other.',): " in str(caught.value)
    assert "a training step: AssertionError: net.idle has no gradient" in str(caught.value)
    assert capsys.readouterr().out.count("BROKEN") >= 2
    monkeypatch.undo()
    with pytest.raises(SettingsError, match="'nothing' is not known"):
        check_head("nothing")


@pytest.mark.slow
@pytest.mark.parametrize("name", list_heads())
def test_every_head_of_ours_keeps_the_contract(name: str) -> None:
    assert len(check_head(name)) == 9
