"""--help shows just what this very call can use, and needs no torch."""

import subprocess
import sys

import pytest

from tasks.commands.train import parse_settings


def test_help_needs_no_torch() -> None:
    code = (
        "import sys\nfrom tasks.commands.train import main\n"
        "try: main(['--help'])\nexcept SystemExit as stop: assert not stop.code\n"
        "assert 'torch' not in sys.modules and 'accelerate' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for flag in ("--task", "--config", "--resume", "--save-every", "--head.anchor-scale", "--weights"):
        assert flag in done.stdout


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "doctor", "describe", "benchmark"])
def test_every_help_has_an_example_and_needs_no_torch(command: str) -> None:
    code = (
        f"import sys\nfrom tasks.commands import main\n"
        f"try: main(['{command}', '--help'])\nexcept SystemExit as stop: assert not stop.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"Example: vertebra {command} " in done.stdout
    usage = done.stdout.splitlines()[0]
    positional = {"evaluate": " RUN", "predict": " RUN IMAGE ...", "describe": " BACKBONE"}.get(command, "")
    assert usage == f"usage: vertebra {command} [-h] [OPTIONS]{positional}"


def test_help_shows_the_settings_of_this_very_call(capsys: pytest.CaptureFixture[str]) -> None:
    def shown(argv: str) -> str:
        with pytest.raises(SystemExit):
            parse_settings([*argv.split(), "--help"])
        return " ".join(capsys.readouterr().out.replace("│", "").split())

    shapes, own = shown("--task segmentation"), shown("--task segmentation --data DIR")
    assert "on shapes; your own data has other defaults: --data DIR --help" in shapes
    assert "on DIR." in own
    assert "The side of the square crops in pixels. (default: 64)" in shapes
    assert "The side of the square crops in pixels. (default: 256)" in own
    assert "--evaluator" not in shapes
    assert "--head.decoder-channels" not in shown("--task segmentation --head pan")
    restarts = shown("--schedule restarts --lr 0.5 --config detection/finetune")
    assert "--schedule.T-0 INT" in restarts
    assert "small gradients are not lost. (default: bf16)" in restarts
