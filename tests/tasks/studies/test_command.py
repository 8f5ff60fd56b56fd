"""`study`: studies are found by name, and what cannot be done is said before anything runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.commands import main as vertebra
from tasks.config import SettingsError
from tasks.studies import find_study, list_studies

NAMES = ["backbones", "deep-supervision", "degradation", "freezing", "gradient-flow", "identity", "norms"]


def test_a_file_is_a_study_of_its_name() -> None:
    assert list_studies() == NAMES
    for name in NAMES:
        assert find_study(name).__module__ == f"tasks.studies.{name.replace('-', '_')}"
        assert "20" in find_study(name).claim  # a year: its paper is cited
    assert find_study("gradient_flow") is find_study("gradient-flow")
    with pytest.raises(SettingsError, match="did you mean 'norms'"):
        find_study("norm")


def test_without_a_name_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert vertebra(["study"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed and find_study(name).claim in listed for name in NAMES)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("gradient-flw", "study: 'gradient-flw' is not known; did you mean 'gradient-flow'? (there are backbones, "),
        ("--seed 1", "study: its name comes first"),
        ("norms identity", "study: one at a time: norms or identity"),
        ("gradient-flow --depth 20", "--depth: there is no such flag; did you mean --depths?"),
        ("gradient-flow --depths 21", "depths: there is no CIFAR network of 21 layers (there are 20, 32, "),
        ("gradient-flow --seeds 0", "seeds: 0: Input should be greater than or equal to 1"),
        ("degradation", "--data"),
        ("backbones --weights resnet18", "weights: 'resnet18': wanted is NAME=FILE with one of --backbones"),
        ("norms --data nowhere", "nowhere"),
    ],
)
def test_wrong_input_is_one_line(argv: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vertebra(["study", *argv.split(), "--output", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_written_is_refused_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert vertebra(["study", "gradient-flow", "--output", str(tmp_path / "file")]) == 2
    captured = capsys.readouterr()
    assert "cannot be written to" in captured.err
    assert "first" not in captured.out.partition("\n")[2]  # no network was measured


def test_help_shows_a_studys_own_settings_and_needs_no_torch() -> None:
    code = (
        "import sys\nfrom tasks.commands import main\n"
        "try: main(['study', 'gradient-flow', '--help'])\nexcept SystemExit as stop: assert not stop.code\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: vertebra study [-h] [OPTIONS] NAME" in done.stdout
    assert "(default: 20 56 110)" in done.stdout
    assert "Example: vertebra study gradient-flow --output" in done.stdout
    assert "--data" not in done.stdout


def test_a_study_writes_its_numbers_and_its_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = "study gradient-flow --depths 20 --inits he --seeds 1 --batch-size 2 --output"
    assert vertebra([*argv.split(), str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gradient-flow.json", "gradient-flow.png"]
    assert (tmp_path / "gradient-flow.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads((tmp_path / "gradient-flow.json").read_text())
    assert result["settings"] == {"seed": 0, "depths": [20], "inits": ["he"], "seeds": 1, "batch_size": 2}
    assert [(row["network"], row["norm"]) for row in result["rows"]] == [
        (network, norm) for network in ("plain", "residual") for norm in ("none", "batch")
    ]
    assert set(result["machine"]) == {"platform", "device", "threads", "torch", "seconds"}
    printed = capsys.readouterr().out
    assert result["claim"] in printed
    assert result["finding"] in printed
    assert result["holds"] is None  # 20 layers say nothing of 100
