"""Messages name commands as whoever reads them would call them."""

import sys
from pathlib import Path

import pytest

from tasks.commands.cli import called


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("tools/train.py", "tools/doctor.py"),
        ("{here}/tools/train.py", "{here}/tools/doctor.py"),
        ("/usr/bin/vertebra", "vertebra doctor"),
        ("mine/train.py", "vertebra doctor"),  # somebody's own, without ours beside it
        ("", "vertebra doctor"),
    ],
)
def test_commands_are_named_as_they_are_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, expected: str
) -> None:
    for name in ("tools/train.py", "tools/doctor.py", "mine/train.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script.format(here=tmp_path)])
    assert called("doctor") == expected.format(here=tmp_path)
    if script == "tools/train.py":
        monkeypatch.chdir(tmp_path / "tools")
        monkeypatch.setattr(sys, "argv", ["train.py"])
        assert called("doctor") == "doctor.py"
