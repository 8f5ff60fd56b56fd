"""A run's folder has one owner, and what cannot be written is one line that leaves what was there."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backbones import InputError
from tasks.commands import main as vertebra
from tasks.commands.train import main
from tasks.runs.run import _output
from tasks.training import Run, TrainingError, stop_signals
from tests.heads import run_settings

SMALL = "--task segmentation --backbone resnet18 --data.count 8 --data.workers 0 --epochs 1 --batch-size 4"
SMALL += " --image-size 64 --head.decoder-channels 16 16 16 16 16"


def test_a_folder_that_another_process_trains_into_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "run")
    run.take()
    for flags in ("", "--resume"):
        assert main([*SMALL.split(), *flags.split(), "--output", str(run.folder)]) == 2
        line = f"{run.folder}: another process trains into it; wait, or give another --output\n"
        assert capsys.readouterr().err == line
    run.release()
    assert not run.folder.exists()  # it has stayed empty
    run.take()
    run.release()


def test_default_folders_of_the_same_second_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda _format: "20261126-120000")
    names = [str(_output(run_settings())) for _ in range(3)]
    first = "runs/detection-resnet50-20261126-120000"
    assert names == [first, f"{first}-2", f"{first}-3"]


@pytest.mark.parametrize(("place", "reason"), [("file", "File exists"), ("file/run", "Not a directory")])
def test_a_file_in_the_folders_place(
    place: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main([*SMALL.split(), "--output", str(tmp_path / place)]) == 2
    assert capsys.readouterr().err == f"{tmp_path / place}: cannot be written to: {reason}\n"


def test_wrong_data_leaves_no_folder(tmp_path: Path) -> None:
    assert (
        main([*SMALL.replace("--data.count 8", "").split(), "--data", "absent", "--output", str(tmp_path / "a")]) == 2
    )
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    """As large as a file may get: the second checkpoint is larger, since the optimizer has moments by then."""
    run = tmp_path / "run"
    assert main([*SMALL.split(), "--optim.name", "adamw", "--output", str(run)]) == 0
    before = (run / "last/model.safetensors").read_bytes()
    (run / "run.json").unlink()
    code = f"""
import resource, sys
from tasks.commands.train import main
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before)} + 1000, resource.RLIM_INFINITY))
sys.exit(main("{SMALL} --optim.name adamw --resume-anyway --resume --seed 1 --epochs 2 --output {run}".split()))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    assert re.fullmatch(rf"{run}/last: cannot be written: .*; the one before is as it was\n", result.stderr)
    assert (run / "last/model.safetensors").read_bytes() == before
    assert not list(run.rglob("*.new"))
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY


def test_too_little_disk_is_known_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import nn

    run = Run(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(TrainingError, match=r"last: needs 4 MB and has 0 MB of disk"):
        run.save(run.last, nn.Linear(1000, 1000), {})
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_appended_to_is_one_line(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.log.mkdir()
    with pytest.raises(TrainingError, match=r"metrics\.jsonl: cannot be written: Is a directory; last/ is as it was"):
        run.append({"step": 1})


def test_results_have_a_place_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    flags = "--backbone resnet18 --data.count 4 --data.workers 0 --epochs 1 --head.channels 16 --head.representation 16"
    assert main([*flags.split(), "--output", str(run)]) == 0
    results = tmp_path / "not/there/yet.json"
    assert vertebra(["evaluate", str(run), "--workers", "0", "--results", str(results)]) == 0
    assert isinstance(json.loads(results.read_text()), list)
    (tmp_path / "file").write_text("")
    capsys.readouterr()
    for command in (
        ["evaluate", str(run)],
        ["predict", str(run), str(tmp_path / "file"), "--output", str(tmp_path / "o")],
    ):
        assert vertebra([*command, "--results", str(tmp_path / "file/a.json")]) == 2
        captured = capsys.readouterr()
        assert captured.err == f"{tmp_path / 'file/a.json'}: cannot be written: File exists\n"
        assert captured.out == ""


def test_an_unwritable_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a disk that is mounted to be read: root may write to any other."""

    def refuse(*_args: object) -> int:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("os.open", refuse)
        with pytest.raises(InputError, match=r"run: cannot be written to: Read-only file system"):
            Run(tmp_path / "run").take()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the child only waits
def test_processes_that_are_forked_do_not_hold_the_folder(tmp_path: Path) -> None:
    """As those that read images are, which may outlive the one that trains."""
    run = Run(tmp_path / "run")
    run.take()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)  # until the parent lets it go
        os._exit(0)
    run.release()
    again = Run(tmp_path / "run")
    again.take()
    again.release()
    os.close(writer)
    os.waitpid(child, 0)
    os.close(reader)


def test_a_signal_that_comes_twice_at_once_is_one() -> None:
    """A launcher hands on what its group has got as well; a second one later ends the run at once."""
    with stop_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop == [signal.SIGTERM]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tasks.training.stopping._ONE_SIGNAL", -1.0)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
