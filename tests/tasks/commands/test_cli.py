"""Messages name commands as whoever reads them would call them."""

import sys

import pytest

from tasks.commands.cli import called


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("tools/train.py", "tools/doctor.py"),
        ("/home/me/vertebra/tools/train.py", "/home/me/vertebra/tools/doctor.py"),
        ("/usr/bin/vertebra", "vertebra doctor"),
        ("my_script.py", "vertebra doctor"),
        ("", "vertebra doctor"),
    ],
)
def test_commands_are_named_as_they_are_called(monkeypatch: pytest.MonkeyPatch, script: str, expected: str) -> None:
    monkeypatch.setattr(sys, "argv", [script])
    assert called("doctor") == expected
